"""How a label follows from an image's path: five kinds of rule, the five of the course.

A rule arrives as a ``RuleSpec`` (what a person sent), becomes a ``LabelRule``
(checked, ready) and gives a ``Labelling``. Paths are compared in NFC, labels
are stripped, and an empty label is none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from backend.domain.errors import InvalidInput
from backend.domain.images import normal
from backend.domain.json import Json
from backend.domain.labels.expressions import Expression
from backend.domain.labels.names import NameIndex
from backend.domain.labels.patterns import Pattern
from backend.domain.labels.tables import (
    InvalidTable,
    LabelColumns,
    Lookup,
    NoTable,
    OneColumn,
    Table,
    image_column,
    joined_labels,
    label_columns,
)

MAX_LABEL: Final = 200
"""Characters of a label; a longer one is refused, because cutting could make two labels one."""


class InvalidLabelRule(InvalidInput):
    """A rule can't be used."""

    code = "label-rule-invalid"


class LabelTooLong(InvalidLabelRule):
    """A label has more characters than a class's name may have."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"The label “{label[:60]}…” has {len(label):,} characters; a class name may have {MAX_LABEL}.",
            advice="Choose a part of the name, or another column, that is shorter.",
            details={"label": label[: 2 * MAX_LABEL], "characters": len(label), "limit": MAX_LABEL},
        )


ClassName = Annotated[str, Field(min_length=1, max_length=MAX_LABEL)]


class _Spec(BaseModel):
    """What all kinds have: classes that are left out, such as “Not sure” or “Skip”; capitals don't matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    leave_out: tuple[ClassName, ...] | None = Field(None, max_length=1_000, examples=[["Not sure", "Skip"]])


class FolderRule(_Spec):
    """The name of the folder an image is in; ``level`` 2 is the one above, and so on."""

    kind: Literal["folder"] = "folder"
    level: int = Field(1, ge=1, le=32)


class PatternRule(_Spec):
    """A regular expression (RE2) searched in ``/`` + path; the group named ``label``, else group 1."""

    kind: Literal["pattern"] = "pattern"
    pattern: str = Field(min_length=1, examples=[r"/([^/]+)_\d+\.jpg$"])


class CsvRule(_Spec):
    """A table among the uploaded files, CSV or JSON; what follows from the table may be left out.

    ``file`` with a ``*`` in it, such as ``*/metadata.csv``, means all tables of such a name together.
    """

    kind: Literal["csv"] = "csv"
    file: str | None = Field(None, examples=["labels.csv"])
    image_column: str | None = Field(None, examples=["name"])
    label_column: str | None = Field(None, examples=["label"])
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    encoding: str | None = Field(None, max_length=40)


class ExpressionRule(_Spec):
    """A CEL expression over path, name, stem, suffix, parent and parts that gives a text."""

    kind: Literal["expression"] = "expression"
    expression: str = Field(min_length=1, examples=["stem.split('_')[0]"])


def all_texts(labels: Any) -> Any:  # Any: what somebody sent
    """Stop at the first label that is no text; pydantic would report every one of a million."""
    found = labels.values() if isinstance(labels, dict) else labels if isinstance(labels, list) else ()
    if not all(label is None or isinstance(label, str) for label in found):
        raise ValueError("Each label must be text, or null for none.")
    return labels


class ListRule(_Spec):
    """An explicit map from path to label, or an array as long as the sorted image paths."""

    kind: Literal["list"] = "list"
    labels: Annotated[dict[str, str | None] | list[str | None], BeforeValidator(all_texts)]


RuleSpec = Annotated[
    FolderRule | PatternRule | CsvRule | ExpressionRule | ListRule,
    Field(discriminator="kind"),
]
_RULE: Final[TypeAdapter[RuleSpec]] = TypeAdapter(RuleSpec)


class LabelRule(Protocol):
    """Says what class images belong to, by their paths alone."""

    def labels(self, paths: Sequence[str]) -> Sequence[str | None]:
        """The class of each path, or None where the rule gives none."""


@dataclass(frozen=True, slots=True)
class ByFolder:
    """The name of a folder above the image."""

    level: int = 1

    def labels(self, paths: Sequence[str]) -> Sequence[str | None]:
        """The folders' names; an image with fewer folders above it has none."""
        level = self.level
        return [parts[-level - 1] if len(parts := path.rsplit("/", level + 1)) > level else None for path in paths]


Evaluate = Callable[[str, Sequence[str]], Sequence[str | None]]
"""Evaluates the text of a pattern or an expression for NFC paths. Raises InvalidInput."""


def evaluate_pattern(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """What the pattern ``text`` finds in each path. Raises InvalidPattern."""
    pattern = Pattern.parse(text, group="label")
    return [pattern.find(path) for path in paths]


def evaluate_expression(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """The text that the expression ``text`` gives for each path. Raises InvalidExpression."""
    expression = Expression.parse(text)
    return [expression.evaluate(path) for path in paths]


@dataclass(frozen=True, slots=True)
class ByText:
    """What a pattern or an expression, which a person wrote, makes of the path."""

    text: str
    evaluate: Evaluate

    @classmethod
    def parse(cls, text: str, evaluate: Evaluate) -> Self:
        """Raises InvalidInput with the position of the mistake."""
        evaluate(text, ())
        return cls(text, evaluate)

    def labels(self, paths: Sequence[str]) -> Sequence[str | None]:
        """What it gives for each path. Raises InvalidInput: it takes too long, or gives something else than text."""
        return self.evaluate(self.text, [normal(path) for path in paths])


@dataclass(frozen=True, slots=True)
class ByTable:
    """What a table says; ``image_column`` and ``label_columns`` are the ones that were used.

    Attributes:
        several: the name in a row that has more than one label, if there is such a row.
        joined: a cell that seems to hold several labels.
    """

    lookup: Lookup
    image_column: str = ""
    label_columns: tuple[str, ...] = ()
    several: str | None = None
    joined: str | None = None

    @classmethod
    def parse(cls, spec: CsvRule, table: Table, images: NameIndex) -> Self:
        """Find the columns and read the table.

        Raises:
            InvalidTable: no column fits, or a named one isn't there.
        """
        image_at = table.column(spec.image_column) if spec.image_column else image_column(table, images)
        columns: LabelColumns = (
            OneColumn(table.column(spec.label_column)) if spec.label_column else label_columns(table, image_at)
        )
        if isinstance(columns, OneColumn) and columns.at == image_at:
            raise InvalidTable("The pictures' names and their labels can't stand in the same column.")
        names = table.cells(image_at)
        labels = [columns.label(row) for row in table.rows]
        several = next((row[image_at] for row in table.rows if columns.has_several(row)), None)
        return cls(
            Lookup.of(names, labels, images, table.file),
            table.columns[image_at],
            tuple(table.columns[at] for at in columns.indices),
            several,
            joined_labels(label for label in labels if label),
        )

    def labels(self, paths: Sequence[str]) -> Sequence[str | None]:
        """The label in the row that means each path."""
        return [self.lookup.by_path.get(normal(path)) for path in paths]


@dataclass(frozen=True, slots=True)
class ByList:
    """Labels that were listed by path."""

    by_path: Mapping[str, str | None]

    @classmethod
    def parse(cls, labels: Mapping[str, str | None] | Sequence[str | None], paths: Sequence[str]) -> Self:
        """A map as it is; an array is laid along the sorted paths.

        Raises:
            InvalidLabelRule: the array is longer or shorter than the paths.
        """
        if isinstance(labels, Mapping):
            return cls({normal(path): label for path, label in labels.items()})
        if len(labels) != len(paths):
            raise InvalidLabelRule(
                f"The list has {len(labels):,} labels, but there are {len(paths):,} pictures.",
                advice="Give one label for each picture, in the alphabetical order of their paths.",
                details={"labels": len(labels), "images": len(paths)},
            )
        return cls({normal(path): label for path, label in zip(sorted(paths), labels, strict=True)})

    def labels(self, paths: Sequence[str]) -> Sequence[str | None]:
        """The listed labels."""
        return [self.by_path.get(normal(path)) for path in paths]


def parse_spec(content: Mapping[str, Json]) -> RuleSpec:
    """A rule's specification from JSON, such as a frozen version's.

    Raises:
        InvalidLabelRule: no kind of rule looks like this.
    """
    try:
        return _RULE.validate_python(dict(content))
    except ValidationError as error:
        raise InvalidLabelRule(
            "This isn't a rule for labels.",
            advice="The five kinds are folder, pattern, csv (a table), expression and list.",
            details={"fields": [".".join(map(str, problem["loc"])) for problem in error.errors()[:10]]},
        ) from error


def parse_rule(
    spec: RuleSpec | Mapping[str, Any],
    *,
    paths: Sequence[str] = (),
    table: Table | None = None,
    images: NameIndex | None = None,
    pattern: Evaluate = evaluate_pattern,
    expression: Evaluate = evaluate_expression,
) -> LabelRule:
    """A rule that is ready to be applied.

    Args:
        spec: what was asked for.
        paths: the images' paths; arrays need them.
        table: the table that a rule of kind ``csv`` means.
        images: the images' names, for a table; made of ``paths`` where it is left out.
        pattern: evaluates patterns; a server does that in a process with limits.
        expression: evaluates expressions.

    Raises:
        InvalidInput: with what is wrong and, where possible, at which position.
    """
    match parse_spec(spec) if isinstance(spec, Mapping) else spec:
        case FolderRule(level=level):
            return ByFolder(level)
        case PatternRule(pattern=text):
            return ByText.parse(text, pattern)
        case ExpressionRule(expression=text):
            return ByText.parse(text, expression)
        case ListRule(labels=labels):
            return ByList.parse(labels, paths)
        case CsvRule() as csv:
            if table is None:
                raise NoTable
            return ByTable.parse(csv, table, images or NameIndex.of(paths))


@dataclass(frozen=True, slots=True)
class Labelling:
    """What a rule gave.

    Attributes:
        labels: label of each path that has one.
        unlabelled: the other paths, in the order they came.
        left_out: those of them whose label is one that was to be left out.
    """

    labels: Mapping[str, str]
    unlabelled: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label once, in the order of a network's outputs."""
        return tuple(sorted(set(self.labels.values())))

    @property
    def counts(self) -> Counter[str]:
        """Paths of each label."""
        return Counter(self.labels.values())


def apply_rule(rule: LabelRule, paths: Iterable[str], leave_out: Sequence[str] | None = None) -> Labelling:
    """Label every path.

    Raises:
        LabelTooLong: a label has more characters than a class's name may have.
        InvalidInput: a pattern or an expression can't be evaluated.
    """
    known = [*paths]
    given = kept_labels(rule, known)
    skipped = labels_left_out(given, leave_out)
    labels: dict[str, str] = {}
    unlabelled: list[str] = []
    left_out: list[str] = []
    for path, label in zip(known, given, strict=True):
        if label is not None and label not in skipped:
            labels[path] = label
            continue
        unlabelled.append(path)
        if label is not None:
            left_out.append(path)
    return Labelling(labels, tuple(unlabelled), tuple(left_out))


def kept_labels(rule: LabelRule, paths: Sequence[str]) -> list[str | None]:
    """The label of each path as it is kept, or None where the rule gives none.

    Raises:
        As ``apply_rule``.
    """
    given = rule.labels(paths)
    # Of 50,000 pictures, few labels are different: each is cleaned once.
    cleaned = {label: clean_label(label) for label in dict.fromkeys(given)}
    return [cleaned[label] for label in given]


def labels_left_out(labels: Iterable[str | None], leave_out: Sequence[str] | None) -> frozenset[str]:
    """Those of ``labels`` that are to be left out; capitals don't matter."""
    if not leave_out:
        return frozenset()
    skipped = {normal(name).strip().casefold() for name in leave_out}
    return frozenset(label for label in {*labels} if label is not None and label.casefold() in skipped)


# Without these, words of Persian, Hindi and other languages change, and emoji fall apart.
_JOINERS: Final = "\u200c\u200d"


def clean_label(label: str | None) -> str | None:
    """A label as it's kept: NFC, without space around it, of printable signs; None where nothing is left.

    Raises:
        LabelTooLong
    """
    if label is None:
        return None
    text = normal(label)
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() or letter in _JOINERS else " " for letter in text)
    text = text.strip()
    if not text.strip(_JOINERS):
        return None
    if len(text) > MAX_LABEL:
        raise LabelTooLong(text)
    return text
