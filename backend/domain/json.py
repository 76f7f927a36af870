"""The type of values that were read from JSON or will be written as JSON."""

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""What ``json.loads`` gives: a dictionary, list, text, number, boolean or None."""
