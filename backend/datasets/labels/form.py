"""The labels page's form: fields as a browser sends them, to a rule and a split and back."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel, ValidationError

from backend.domain.errors import InvalidInput
from backend.domain.json import Json
from backend.domain.labels.rules import (
    MAX_LABEL,
    CsvRule,
    ExpressionRule,
    FolderRule,
    ListRule,
    PatternRule,
    RuleSpec,
)
from backend.domain.labels.tables import UnknownColumn
from backend.domain.splitting import CsvSplit, FolderSplit, InvalidSplit, NoGroups, RandomSplit, SplitSpec
from backend.domain.trainable import NoTrainingImages, NoValidationImages
from backend.fields.problems import Path, problems

KINDS: Final = (
    ("folder", "The folder it is in"),
    ("pattern", "Its file name"),
    ("csv", "A table"),
    ("expression", "An expression"),
    ("list", "A list"),
    ("hand", "By hand"),
)
LEVELS: Final = (
    ("1", "the folder each picture is in"),
    ("2", "the folder above that"),
    ("3", "two folders above"),
    ("4", "three folders above"),
)
_SEPARATORS: Final = ("\t", ";", ",", "=")


class InvalidForm(InvalidInput):
    """Fields of the form can't be used; ``fields`` has a sentence for each of them."""

    code = "label-form-invalid"

    def __init__(self, fields: Mapping[str, str], advice: str = "") -> None:
        super().__init__(" ".join(dict.fromkeys(fields.values())), advice=advice, details={"fields": dict(fields)})
        self.fields = fields


class EmptyRule(InvalidForm):
    """The rule's field is still empty: nothing is wrong yet."""

    code = "label-rule-empty"

    def __init__(self, field: str) -> None:
        super().__init__({field: EMPTY_HINTS[field]})


@dataclass(frozen=True, slots=True)
class LabelForm:
    """What the form's fields hold; every one has a value, so that the page can always be drawn."""

    kind: str = "folder"
    level: str = "1"
    pattern: str = ""
    file: str = ""
    image_column: str = ""
    label_column: str = ""
    expression: str = ""
    labels: str = ""
    leave_out: str = ""
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
        return cls(leave_out=_joined(rule.leave_out or ()), **_rule_fields(rule), **_split_fields(split))

    @property
    def specs(self) -> tuple[RuleSpec, SplitSpec]:
        """The rule and the split it asks for. Raises InvalidForm with a sentence for every field that can't be used."""
        wrong: dict[str, str] = {}
        for part in ("rule", "split_spec"):
            try:
                getattr(self, part)
            except EmptyRule:
                raise
            except InvalidForm as error:
                wrong |= error.fields
        if wrong:
            raise InvalidForm(wrong)
        return self.rule, self.split_spec

    @property
    def rule(self) -> RuleSpec:
        """The rule it asks for. Raises InvalidForm: a field is empty or can't be used."""
        content: dict[str, Json] = {"leave_out": names} if (names := _names(self.leave_out)) else {}
        return _checked(_RULES.get(self.kind, FolderRule), content | self._rule_content())

    def _rule_content(self) -> dict[str, Json]:
        match self.kind:
            case "pattern":
                return {"pattern": _filled("pattern", self.pattern)}
            case "csv":
                named = {"file": self.file, "image_column": self.image_column, "label_column": self.label_column}
                return {name: value.strip() for name, value in named.items() if value.strip()}
            case "expression":
                return {"expression": _filled("expression", self.expression)}
            case "list":
                return {"labels": _listed(_filled("labels", self.labels))}
            case "hand":
                return {"labels": {}}
            case _:
                return {"level": _number(self.level)}

    @property
    def split_spec(self) -> SplitSpec:
        """The split it asks for. Raises InvalidForm."""
        return _checked(_SPLITS.get(self.split, RandomSplit), self._split_content())

    def _split_content(self) -> dict[str, Json]:
        match self.split:
            case "folder":
                return {
                    "train": self.train_folder.strip(),
                    "valid": self.valid_folder.strip(),
                    "test": self.test_folder.strip(),
                }
            case "csv":
                return {"column": self.column.strip()}
            case _:
                group: dict[str, Json] = {"group": self.group.strip()} if self.group.strip() else {}
                shares: dict[str, Json] = {"valid": _share(self.valid), "test": _share(self.test)}
                return {**shares, "seed": _number(self.seed), **group}


EMPTY_HINTS: Final[Mapping[str, str]] = {
    "pattern": r"Type a pattern, or click a part of the name below. For example: /([^/]+)_\d+\.jpg$",
    "expression": "Type an expression. For example: stem.split('_')[0]",
    "labels": "Type or paste a list. One line for each picture: a/1.jpg, cat",
}
"""What to do where a field is empty yet."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the form: its name, what a sentence calls it, and what it accepts where its type doesn't tell."""

    name: str
    words: str
    accepts: str | None = None


_FIELDS: Final[Mapping[type[BaseModel], Mapping[str, _Field]]] = {
    FolderRule: {"level": _Field("level", "The folder")},
    PatternRule: {"pattern": _Field("pattern", "The pattern")},
    CsvRule: {
        "file": _Field("file", "The table"),
        "image_column": _Field("image_column", "The column of names"),
        "label_column": _Field("label_column", "The column of labels"),
    },
    ExpressionRule: {"expression": _Field("expression", "The expression")},
    ListRule: {"labels": _Field("labels", "The list")},
    RandomSplit: {
        "valid": _Field("valid", "The share held out", "a number from 1 to 90"),
        "test": _Field("test", "The share for a final test", "a number from 0 to 90"),
        "seed": _Field("seed", "The seed", "a whole number from 0"),
        "group": _Field("group", "The pattern for groups"),
    },
    FolderSplit: {
        "train": _Field("train_folder", "The folder to learn from"),
        "valid": _Field("valid_folder", "The folder held out"),
        "test": _Field("test_folder", "The folder for a final test"),
    },
    CsvSplit: {"column": _Field("column", "The column")},
}
"""Fields of the form by the spec that they make and its names for them."""
_LEAVE_OUT: Final = _Field("leave_out", "A class to leave out", f"text of 1 to {MAX_LABEL} characters")
_RULES: Final[Mapping[str, type[RuleSpec]]] = {
    "folder": FolderRule,
    "pattern": PatternRule,
    "csv": CsvRule,
    "expression": ExpressionRule,
    "list": ListRule,
    "hand": ListRule,
}
_SPLITS: Final[Mapping[str, type[SplitSpec]]] = {"random": RandomSplit, "folder": FolderSplit, "csv": CsvSplit}
_Spec = TypeVar("_Spec", bound=BaseModel)


def _checked(model: type[_Spec], content: Mapping[str, Json]) -> _Spec:
    """``content`` as a spec. Raises InvalidForm with a sentence for each field."""
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        known = {"leave_out": _LEAVE_OUT, **_FIELDS[model]}
        # What no single field is to blame for stands beside the last one.
        last = [*_FIELDS[model].values()][-1]

        def field(path: Path) -> _Field:
            return known.get(str(path[0]), last) if path else _FIELDS[model].get("test", last)

        found = problems(error.errors(), model, lambda path: field(path).words, lambda path: field(path).accepts)
        raise InvalidForm({field(problem.path).name: problem.sentence for problem in found}) from error


def fields_of(error: InvalidInput, form: LabelForm) -> dict[str, str]:
    """Beside which fields of the form an error belongs, and its sentence."""
    if isinstance(error, InvalidForm):
        return dict(error.fields)
    sentence = f"{error.message} {error.advice}".strip()
    if isinstance(error, NoGroups):
        return {"group": sentence}
    if isinstance(error, UnknownColumn):
        typed = {"image_column": form.image_column, "label_column": form.label_column, "column": form.column}
        return {next((name for name, text in typed.items() if text.strip() == error.column), "file"): sentence}
    if isinstance(error, (InvalidSplit, NoValidationImages, NoTrainingImages)):
        return {"split": sentence}
    field = {"pattern": "pattern", "csv": "file", "expression": "expression", "list": "labels"}
    return {field.get(form.kind, "level"): sentence}


SPLIT_FIELDS: Final = frozenset(
    {"split", *(field.name for model in (RandomSplit, FolderSplit, CsvSplit) for field in _FIELDS[model].values())}
)
"""Fields that stand in the part about held-out pictures."""


def _filled(field: str, text: str) -> str:
    if not text.strip():
        raise EmptyRule(field)
    # A tab at the end separates a path from no label.
    return text.strip(" \r\n")


def _number(text: str) -> Json:
    """A whole number, or the text as it is: the check says what is wrong with it."""
    stripped = text.strip()
    return int(stripped) if stripped.removeprefix("-").isdecimal() and len(stripped) < 30 else stripped


def _share(text: str) -> Json:
    """A share of a typed percentage, or the text as it is."""
    try:
        return round(float(text.strip().removesuffix("%").replace(",", ".")) / 100, 6)
    except ValueError:
        return text.strip()


def _names(text: str) -> list[Json]:
    """Names between commas; one that has a comma stands in double quotes."""
    return [
        name for row in csv.reader(io.StringIO(text), skipinitialspace=True) for cell in row if (name := cell.strip())
    ]


def _joined(names: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(names)
    return written.getvalue() if names else ""


def _listed(text: str) -> dict[str, Json]:
    """Lines of a path and its label, cut at the last tab, semicolon, comma or equals sign."""
    labels: dict[str, Json] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        separator = next((sign for sign in _SEPARATORS if sign in line), None)
        if separator is None:
            example = "Put a comma between path and label: a/1.jpg, cat"
            raise InvalidForm({"labels": f"Line {number} has no label: “{line[:60]}”. {example}"})
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
        case ListRule(labels=labels) if not labels:
            return {"kind": "hand"}
        case ListRule(labels=labels):
            pairs = labels.items() if isinstance(labels, Mapping) else []
            return {"kind": "list", "labels": "\n".join(f"{path}\t{label or ''}" for path, label in pairs)}


def _split_fields(split: SplitSpec) -> dict[str, str]:
    match split:
        case RandomSplit():
            return {
                "split": "random",
                "valid": f"{100 * split.valid:.6g}",
                "test": f"{100 * split.test:.6g}",
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
