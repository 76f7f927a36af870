"""The tabs of the pages about a run's results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_TABS: Final = (
    ("/understand", "Overview"),
    ("/understand/confusions", "Confusion matrix"),
    ("/understand/top-losses", "Top losses"),
    ("/understand/classes", "Results by class"),
    ("/understand/sure", "How sure"),
    ("/understand/inside", "Inside"),
    ("/compare", "Compare"),
)


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab with its address."""

    name: str
    href: str
    is_current: bool


def tabs_of(run_id: str, current: str, link: Callable[[str], str]) -> list[Tab]:
    """All tabs; ``current`` is the part of the address below the run, ``link`` makes an address of a path."""
    return [Tab(name, link(f"/runs/{run_id}{path}"), path == current) for path, name in _TABS]
