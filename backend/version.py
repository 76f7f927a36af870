"""Which Tellapart this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The installed version; ``source`` where the tree runs without being installed."""
    try:
        return installed_version("tellapart")
    except PackageNotFoundError:
        return "source"
