"""The workbench's form: fields as a browser sends them, to a rule and a split and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from backend.domain.errors import InvalidInput
from backend.domain.labels.rules import (
    CsvRule,
    ExpressionRule,
    FolderRule,
    InvalidLabelRule,
    ListRule,
    PatternRule,
    RuleSpec,
)
from backend.domain.labels.rules import parse_spec as parse_rule_spec
from backend.domain.splitting import CsvSplit, FolderSplit, InvalidSplit, RandomSplit, SplitSpec
from backend.domain.splitting import parse_spec as parse_split_spec

KINDS: Final = (
    ("folder", "The folder it is in"),
    ("pattern", "Its file name"),
    ("csv", "A table"),
    ("expression", "An expression"),
    ("list", "A list"),
)
LEVELS: Final = (("1", "the folder it is in"), ("2", "the folder above that"), ("3", "two above"), ("4", "three above"))
_SEPARATORS: Final = ("\t", ";", ",", "=")


class EmptyRule(InvalidLabelRule):
    """A field of the rule is still empty."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, advice=advice)


@dataclass(frozen=True, slots=True)
class LabelForm:
    """What the workbench's fields hold; every one has a value, so that the page can always be drawn."""

    kind: str = "folder"
    level: str = "1"
    pattern: str = ""
    file: str = ""
    image_column: str = ""
    label_column: str = ""
    expression: str = ""
    labels: str = ""
    split: str = "random"
    valid: str = "20"
    test: str = "0"
    seed: str = "42"
    group: str = ""
    train_folder: str = "train"
    valid_folder: str = "valid"
    test_folder: str = "test"
    column: str = "is_valid"

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:  # Any: form values, of which only text counts
        """The form as it was sent; unknown fields are passed over."""
        return cls(**{name: str(fields[name]) for name in cls.__dataclass_fields__ if name in fields})

    @classmethod
    def of_specs(cls, rule: RuleSpec, split: SplitSpec) -> Self:
        """The form that would send this rule and this split."""
        return cls(**_rule_fields(rule), **_split_fields(split))

    @property
    def rule(self) -> RuleSpec:
        """The rule it asks for.

        Raises:
            InvalidLabelRule: a field is empty or can't be used.
        """
        match self.kind:
            case "pattern":
                return PatternRule(pattern=_filled(self.pattern, "There is no pattern yet.", PATTERN_ADVICE))
            case "csv":
                named = {"file": self.file, "image_column": self.image_column, "label_column": self.label_column}
                return CsvRule(**{name: value.strip() for name, value in named.items() if value.strip()})
            case "expression":
                text = _filled(self.expression, "There is no expression yet.", "Try: stem.split('_')[0]")
                return ExpressionRule(expression=text)
            case "list":
                text = _filled(self.labels, "The list is empty.", "One line for each picture: a/1.jpg, cat")
                return ListRule(labels=_listed(text))
            case _:
                return parse_rule_spec({"kind": self.kind, "level": _whole(self.level, InvalidLabelRule)})

    @property
    def split_spec(self) -> SplitSpec:
        """The split it asks for. Raises InvalidSplit."""
        match self.split:
            case "folder":
                names = {"train": self.train_folder, "valid": self.valid_folder, "test": self.test_folder}
                return parse_split_spec({"kind": "folder", **{side: name.strip() for side, name in names.items()}})
            case "csv":
                return parse_split_spec({"kind": "csv", "column": self.column.strip()})
            case _:
                group = {"group": self.group.strip()} if self.group.strip() else {}
                return parse_split_spec(
                    {
                        "kind": "random",
                        "valid": _whole(self.valid, InvalidSplit) / 100,
                        "test": _whole(self.test, InvalidSplit) / 100,
                        "seed": _whole(self.seed, InvalidSplit),
                        **group,
                    }
                )


PATTERN_ADVICE: Final = r"Click a part of the name above, or try: /([^/]+)_\d+\.jpg$"


def _filled(text: str, message: str, advice: str) -> str:
    if not text.strip():
        raise EmptyRule(message, advice)
    # A tab at the end separates a path from no label.
    return text.strip(" \r\n")


def _whole(text: str, error: type[InvalidInput]) -> int:
    try:
        return int(text.strip() or "0")
    except ValueError:
        raise error(f"“{text[:40]}” isn't a whole number.", advice="Write digits only, such as 20.") from None


def _listed(text: str) -> dict[str, str | None]:
    """Lines of a path and its label, cut at the last tab, semicolon, comma or equals sign."""
    labels: dict[str, str | None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        separator = next((sign for sign in _SEPARATORS if sign in line), None)
        if separator is None:
            raise InvalidLabelRule(
                f"Line {number} has no label: “{line[:60]}”.",
                advice="Put a comma between path and label, as in: a/1.jpg, cat",
            )
        path, _, label = line.rpartition(separator)
        labels[path.strip()] = label.strip() or None
    return labels


def _rule_fields(rule: RuleSpec) -> dict[str, str]:
    match rule:
        case FolderRule(level=level):
            return {"kind": "folder", "level": str(level)}
        case PatternRule(pattern=pattern):
            return {"kind": "pattern", "pattern": pattern}
        case CsvRule():
            named = {"file": rule.file, "image_column": rule.image_column, "label_column": rule.label_column}
            return {"kind": "csv", **{name: value or "" for name, value in named.items()}}
        case ExpressionRule(expression=expression):
            return {"kind": "expression", "expression": expression}
        case ListRule(labels=labels):
            pairs = labels.items() if isinstance(labels, Mapping) else []
            return {"kind": "list", "labels": "\n".join(f"{path}\t{label or ''}" for path, label in pairs)}


def _split_fields(split: SplitSpec) -> dict[str, str]:
    match split:
        case RandomSplit():
            return {
                "split": "random",
                "valid": f"{round(100 * split.valid)}",
                "test": f"{round(100 * split.test)}",
                "seed": str(split.seed),
                "group": split.group or "",
            }
        case FolderSplit():
            return {
                "split": "folder",
                "train_folder": split.train,
                "valid_folder": split.valid,
                "test_folder": split.test,
            }
        case CsvSplit():
            return {"split": "csv", "column": split.column}
