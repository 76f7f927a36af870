"""A proposal that needs nobody to look at it: one rule that gives every picture a label."""

from dataclasses import dataclass
from typing import Final

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.suggestions import Suggestion, suggest
from backend.domain.labels.rules import RuleSpec
from backend.domain.splitting import SplitSpec

_NAMED: Final = 6
_LEAST: Final = 2
"""Pictures of a class: one to learn from and one to test with."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule and a split that suit all of a dataset's pictures.

    Attributes:
        words: what the rule reads, such as “the folder the picture is in”.
        classes: names, the most frequent first.
    """

    rule: RuleSpec
    split: SplitSpec
    words: str
    classes: tuple[str, ...]
    images: int

    @property
    def shown(self) -> str:
        """The first few classes, and how many more there are."""
        more = len(self.classes) - _NAMED
        return ", ".join(self.classes[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def complete_proposal(content: DatasetContent) -> Proposal | None:
    """The best proposed rule; None where it leaves pictures without a label or gives no classes to tell apart."""
    best = next(iter(suggest(content)), None)
    return _proposal(content, best) if best else None


def _proposal(content: DatasetContent, best: Suggestion) -> Proposal | None:
    counts = best.labelled.counts
    is_complete = len(best.labelled.images) == len(content.images)
    if not is_complete or len(counts) < 2 or min(counts.values()) < _LEAST:
        return None
    words = best.words.partition(";")[0]
    return Proposal(best.rule, best.split, words, tuple(name for name, _ in counts.most_common()), len(content.images))
