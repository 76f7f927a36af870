"""How a label follows from an image's path: five kinds of rule, the five of the course.

A rule arrives as a ``RuleSpec`` (what a person sent), becomes a ``LabelRule``
(checked, ready) and gives a ``Labelling``. Paths are compared in NFC, labels
are stripped, and an empty label is none.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from backend.domain.errors import InvalidInput
from backend.domain.images import normal, normal_path
from backend.domain.json import Json
from backend.domain.labels.expressions import Expression
from backend.domain.labels.patterns import Pattern
from backend.domain.labels.tables import InvalidTable, Lookup, Table, image_column, label_column

MAX_LABEL: Final = 200
"""Characters of a label; a longer one is cut."""


class InvalidLabelRule(InvalidInput):
    """A rule can't be used."""

    code = "label-rule-invalid"


class RuleTooSlow(InvalidInput):
    """A rule takes too long for the number of images."""

    code = "label-rule-too-slow"

    def __init__(self) -> None:
        super().__init__("This rule takes too long for so many pictures.", advice="Try to say it more simply.")


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FolderRule(_Spec):
    """The name of the folder an image is in; ``level`` 2 is the one above, and so on."""

    kind: Literal["folder"] = "folder"
    level: int = Field(1, ge=1, le=32)


class PatternRule(_Spec):
    """A regular expression (RE2) searched in ``/`` + path; the group named ``label``, else group 1."""

    kind: Literal["pattern"] = "pattern"
    pattern: str = Field(min_length=1, examples=[r"/([^/]+)_\d+\.jpg$"])


class CsvRule(_Spec):
    """A table among the uploaded files; what can be told from the table may be left out."""

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
        raise ValueError("each label has to be a text, or null for none")
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
    """Says what class an image belongs to, by its path alone."""

    def label(self, path: PurePosixPath) -> str | None:
        """Class of one image, or None where the rule has nothing to say."""


@dataclass(frozen=True, slots=True)
class ByFolder:
    """The name of a folder above the image."""

    level: int = 1

    def label(self, path: PurePosixPath) -> str | None:
        """The folder's name; an image that lies less deep has none."""
        folders = path.parts[:-1]
        return folders[-self.level] if len(folders) >= self.level else None


@dataclass(frozen=True, slots=True)
class ByPattern:
    """A part of the path that a pattern finds."""

    pattern: Pattern

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidPattern with the place of the mistake."""
        return cls(Pattern.parse(text, group="label"))

    def label(self, path: PurePosixPath) -> str | None:
        """What the pattern finds in ``/`` + path."""
        return self.pattern.find(str(path))


@dataclass(frozen=True, slots=True)
class ByTable:
    """What a table says; ``image_column`` and ``label_column`` are the ones that were used."""

    lookup: Lookup
    image_column: str = ""
    label_column: str = ""

    @classmethod
    def parse(cls, spec: CsvRule, table: Table, paths: Sequence[str]) -> Self:
        """Find the columns and read the table.

        Raises:
            InvalidTable: no column fits, or a named one isn't there.
        """
        image_at = table.column(spec.image_column) if spec.image_column else image_column(table, paths)
        label_at = table.column(spec.label_column) if spec.label_column else label_column(table, image_at)
        if image_at == label_at:
            raise InvalidTable("The pictures' names and their labels can't stand in the same column.")
        lookup = Lookup.of((row[image_at], row[label_at]) for row in table.rows)
        return cls(lookup, table.columns[image_at], table.columns[label_at])

    def label(self, path: PurePosixPath) -> str | None:
        """The label in the row that means ``path``."""
        return self.lookup.value(path)


@dataclass(frozen=True, slots=True)
class ByExpression:
    """What an expression makes of the path."""

    expression: Expression

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidExpression with the place of the mistake."""
        return cls(Expression.parse(text))

    def label(self, path: PurePosixPath) -> str | None:
        """The expression's text for ``path``."""
        return self.expression.evaluate(path)


@dataclass(frozen=True, slots=True)
class ByList:
    """Labels that were listed by path."""

    labels: Mapping[str, str | None]

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

    def label(self, path: PurePosixPath) -> str | None:
        """The listed label."""
        return self.labels.get(str(path))


def parse_spec(content: Mapping[str, Json]) -> RuleSpec:
    """A rule's specification from JSON, such as a frozen version's.

    Raises:
        InvalidLabelRule: no kind of rule looks like this.
    """
    try:
        return _RULE.validate_python(dict(content))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise InvalidLabelRule(
            f"This isn't a rule: {field or 'kind'}: {problem['msg'].lower()}.",
            advice="The five kinds are folder, pattern, csv, expression and list.",
        ) from error


def parse_rule(
    spec: RuleSpec | Mapping[str, Any], *, paths: Sequence[str] = (), table: Table | None = None
) -> LabelRule:
    """A rule that is ready to be applied.

    Args:
        spec: what was asked for.
        paths: the images' paths; tables and arrays need them.
        table: the table that a rule of kind ``csv`` means.

    Raises:
        InvalidInput: with what is wrong and, where possible, at which position.
    """
    match parse_spec(spec) if isinstance(spec, Mapping) else spec:
        case FolderRule(level=level):
            return ByFolder(level)
        case PatternRule(pattern=pattern):
            return ByPattern.parse(pattern)
        case ExpressionRule(expression=expression):
            return ByExpression.parse(expression)
        case ListRule(labels=labels):
            return ByList.parse(labels, paths)
        case CsvRule() as csv:
            if table is None:
                raise InvalidTable("There is no table among the files.", advice="Bring one as .csv, .tsv or .txt.")
            return ByTable.parse(csv, table, paths)


@dataclass(frozen=True, slots=True)
class Labelling:
    """What a rule gave.

    Attributes:
        labels: label of each path that has one.
        unlabelled: the other paths, in the order they came.
    """

    labels: Mapping[str, str]
    unlabelled: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label once, in the order of a network's outputs."""
        return tuple(sorted(set(self.labels.values())))

    @property
    def counts(self) -> Counter[str]:
        """Paths of each label."""
        return Counter(self.labels.values())


def apply_rule(rule: LabelRule, paths: Iterable[str]) -> Labelling:
    """Label every path.

    Raises:
        RuleTooSlow: the rule would block the server.
    """
    labels: dict[str, str] = {}
    unlabelled: list[str] = []
    clock = _Clock()
    for path in paths:
        label = clean_label(rule.label(normal_path(path)))
        clock.tick()
        if label is None:
            unlabelled.append(path)
        else:
            labels[path] = label
    return Labelling(labels, tuple(unlabelled))


def clean_label(label: str | None) -> str | None:
    """A label as it's kept: NFC, without space around it, of printable signs; None where nothing is left."""
    if label is None:
        return None
    printable = normal(label) if label.isprintable() else "".join(c if c.isprintable() else " " for c in normal(label))
    return printable.strip()[:MAX_LABEL].strip() or None


@dataclass(slots=True)
class _Clock:
    """Processor time that a rule may take: two seconds, and a fifth of a millisecond more for each path."""

    started: float = field(default_factory=time.thread_time)
    paths: int = 0

    def tick(self) -> None:
        self.paths += 1
        if self.paths % 64 == 0 and time.thread_time() - self.started > 2.0 + self.paths * 0.0002:
            raise RuleTooSlow
