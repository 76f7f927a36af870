"""The versions of a dataset as the pages list them: what made each of them, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.repository import LabelLedger
from backend.datasets.version_repository import VersionRepository
from backend.domain.errors import InvalidInput
from backend.domain.json import Json
from backend.domain.labels.rules import CsvRule, ExpressionRule, FolderRule, ListRule, PatternRule, RuleSpec, parse_spec
from backend.tables.datasets import VersionRow

_LISTED: Final = 50
"""Versions that a page lists; older ones are found by REST."""


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version in a list. ``pictures`` are counted over all sides; ``by_hand`` counts what it froze of changes."""

    number: int
    path: str
    rule: str
    classes: int
    pictures: int
    created_at: datetime
    is_current: bool
    by_hand: int = 0

    @classmethod
    def of(cls, row: VersionRow, *, is_current: bool, by_hand: int) -> "VersionLine":
        """The line of a stored version."""
        return cls(
            row.number,
            f"/versions/{row.id}",
            rule_words_of(row.rule),
            len(row.classes),
            sum(count for sides in row.counts.values() for count in sides.values()),
            row.created_at,
            is_current,
            by_hand,
        )


def version_lines(session: Session, dataset_id: str, of: str | None = None) -> list[VersionLine]:
    """A dataset's versions, the newest first; ``of`` is the id of the one that is shown."""
    rows = VersionRepository(session).of_dataset(dataset_id, limit=_LISTED)
    frozen = LabelLedger(session).count_frozen([row.id for row in rows])
    return [
        VersionLine.of(row, is_current=row.id == of, by_hand=frozen.get(row.id, 0) + len(row.overrides)) for row in rows
    ]


def rule_words_of(content: Mapping[str, Json]) -> str:
    """A stored rule in words."""
    try:
        return rule_words(parse_spec(dict(content)))
    except InvalidInput:
        return "a rule of an earlier release"


_LEVEL_WORDS: Final = {1: "the folder each picture is in", 2: "the folder above the pictures' own"}


def rule_words(rule: RuleSpec) -> str:
    """How labels are read, as a part of a sentence."""
    left_out = f", without {', '.join(rule.leave_out[:3])}" if rule.leave_out else ""
    match rule:
        case FolderRule(level=level):
            return _LEVEL_WORDS.get(level, f"the folder {level - 1} above the pictures' own") + left_out
        case PatternRule(pattern=pattern):
            return f"the file name, by the pattern {pattern}{left_out}"
        case CsvRule(file=file):
            return f"the table {file or 'among the files'}{left_out}"
        case ExpressionRule(expression=expression):
            return f"the expression {expression}{left_out}"
        case ListRule(labels=labels):
            return f"a list{left_out}" if labels else "labelling by hand"
