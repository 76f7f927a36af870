"""Two classes that a model takes for each other, counted both ways."""

from collections.abc import Iterable
from dataclasses import dataclass

from backend.domain.results import Confusion


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two classes with the mistakes of each way; ``more`` is the more frequent way, ``fewer`` may have a count of 0."""

    more: Confusion
    fewer: Confusion

    @property
    def count(self) -> int:
        """Mistakes of both ways."""
        return self.more.count + self.fewer.count

    @property
    def ways(self) -> tuple[Confusion, Confusion]:
        """Both ways, the more frequent one first."""
        return self.more, self.fewer


def reversed_of(confusion: Confusion, count: int) -> Confusion:
    """The other way round, with its own count."""
    return Confusion(confusion.predicted, confusion.actual, count)


def both_ways(confusions: Iterable[Confusion]) -> list[ConfusedPair]:
    """Each pair of classes once, those with the most mistakes of both ways first; ties in the order given.

    Args:
        confusions: one direction at a time, as ``most_confused`` gives them.
    """
    given = {(one.actual, one.predicted): one for one in confusions}
    pairs: dict[frozenset[str], ConfusedPair] = {}
    for one in sorted(given.values(), key=lambda one: -one.count):
        other = given.get((one.predicted, one.actual)) or reversed_of(one, 0)
        pairs.setdefault(frozenset((one.actual, one.predicted)), ConfusedPair(one, other))
    return sorted(pairs.values(), key=lambda pair: -pair.count)
