"""Words of findings: numbers with their nouns, and names of classes."""

from collections.abc import Sequence

from backend.templating import counted


def pictures(count: int) -> str:
    """``1 picture``, ``1,200 pictures``."""
    return counted(count, "picture")


def are(count: int) -> str:
    """``1 picture is``, ``3 pictures are``."""
    return f"{pictures(count)} {'is' if count == 1 else 'are'}"


def share_words(share: float) -> str:
    """``12 %``."""
    return f"{100 * share:.0f} %"


def listed(names: Sequence[str], most: int = 3) -> str:
    """``“a”, “b” and 3 more``."""
    shown = [f"“{name}”" for name in names[:most]]
    more = len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
