"""How evenly the pictures of a version are spread over its classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.templating import counted

VERY_FEW: Final = 60
"""Pictures of a version below which scores are unreliable."""
_UNEVEN: Final = 3
"""Times as many pictures as the smallest class, above which the largest is worth a sentence."""
_BARS: Final = 40


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Pictures of a class in each set."""

    name: str
    train: int
    valid: int
    test: int

    @property
    def images(self) -> int:
        """In all sets together."""
        return self.train + self.valid + self.test


@dataclass(frozen=True, slots=True)
class Balance:
    """The classes of a version.

    Attributes:
        classes: in the order of the outputs.
        bars: the largest ones first, at most 40.
        sentence: what to know of the differences.
        warnings: what makes a score unreliable.
    """

    classes: tuple[ClassCount, ...]
    bars: tuple[ClassCount, ...]
    sentence: str
    warnings: tuple[str, ...]

    @property
    def sums(self) -> ClassCount:
        """All classes together."""
        classes = self.classes
        return ClassCount(
            "",
            sum(found.train for found in classes),
            sum(found.valid for found in classes),
            sum(found.test for found in classes),
        )


def balance_of(names: Sequence[Any], counts: Mapping[str, Any]) -> Balance:  # Any: JSON of a version
    """The classes of a version with their counts by set."""
    classes = tuple(ClassCount(str(name), **counts[name]) for name in names)
    by_size = sorted(classes, key=lambda found: -found.images)
    total = sum(found.images for found in classes)
    warning = (
        f"{counted(total, 'picture')} {'is' if total == 1 else 'are'} very few, so the score will be unreliable. "
        "Aim for 30 or more per class."
    )
    return Balance(classes, tuple(by_size[:_BARS]), _sentence(by_size), (warning,) if total < VERY_FEW else ())


def _sentence(by_size: Sequence[ClassCount]) -> str:
    largest, smallest = by_size[0], by_size[-1]
    most, least = largest.images, smallest.images
    if most == least:
        return f"Each class has {counted(most, 'picture')}."
    if least and most / least < _UNEVEN:
        return f"The classes are about even: from {counted(least, 'picture')} to {most:,}."
    times = f"{most / least:.0f} times as many pictures as" if least else "pictures, but not"
    return (
        f"“{largest.name}” ({most:,}) has {times} “{smallest.name}” ({least:,}). The model learns a class better the "
        "more pictures it has; more of the small classes help most."
    )
