"""A few of many, taken at equal distances."""

from typing import Any, Protocol, TypeVar


class _Sliceable(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...  # a part of the same kind; NumPy's own types say Any


Items = TypeVar("Items", bound=_Sliceable)


def evenly_spread(items: Items, most: int) -> Items:
    """At most ``most`` of the items, at equal distances and in their order; all of them where they aren't more."""
    found: Items = items[:: max(1, -(-len(items) // most))]
    return found
