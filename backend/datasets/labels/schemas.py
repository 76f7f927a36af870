"""What the API of labels and versions takes and gives."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict

from backend.datasets.labels.preview import Preview
from backend.datasets.labels.suggestions import Suggestion
from backend.datasets.repository import ImageNames
from backend.datasets.urls import image_url, thumbnail_url
from backend.domain.json import Json
from backend.domain.labels.rules import ByTable, RuleSpec, all_texts
from backend.domain.manifest import Split
from backend.domain.splitting import SplitSpec
from backend.tables.datasets import VersionRow

EXAMPLES_SHOWN = 20


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExampleRead(BaseModel):
    """A picture as an example."""

    id: str
    path: str
    url: str
    thumbnail_url: str

    @classmethod
    def of(cls, image: ImageNames, root_path: str) -> Self:
        return cls(
            id=image.id,
            path=image.path,
            url=root_path + image_url(image.id, image.digest),
            thumbnail_url=root_path + thumbnail_url(image.id, digest=image.digest),
        )


class PreviewRequest(_Body):
    """A rule and a split to try."""

    rule: RuleSpec
    split: SplitSpec | None = None


class ClassRead(BaseModel):
    """A class as it would be."""

    name: str
    images: int
    train: int
    valid: int
    test: int
    examples: list[ExampleRead]


class UnlabelledRead(BaseModel):
    images: int
    examples: list[ExampleRead]


class WarningRead(BaseModel):
    code: str
    message: str
    classes: list[str]


class TableRead(BaseModel):
    """How a table was understood; several ``label_columns`` are one 0/1 column for each class."""

    file: str
    columns: list[str]
    rows: int
    has_header: bool
    delimiter: str
    encoding: str
    image_column: str
    label_column: str
    label_columns: list[str]


class GroupsRead(BaseModel):
    """Groups that a split keeps together, and how many images they have."""

    count: int
    smallest: int
    largest: int

    @classmethod
    def of(cls, groups: Mapping[str, int]) -> Self:
        return cls(count=len(groups), smallest=min(groups.values()), largest=max(groups.values()))


class OverridesRead(BaseModel):
    """What was changed by hand on top of the rule: numbers of pictures, and new names of classes (null: left out)."""

    labelled: int
    left_out: int
    classes: dict[str, str | None]


class PreviewRead(BaseModel):
    """What a rule and a split would give; nothing is stored."""

    classes: list[ClassRead]
    labelled: int
    unlabelled: UnlabelledRead
    warnings: list[WarningRead]
    table: TableRead | None
    groups: GroupsRead | None
    overrides: OverridesRead

    @classmethod
    def of(cls, preview: Preview, root_path: str) -> Self:
        return cls(
            classes=[
                ClassRead(
                    name=found.name,
                    images=found.images,
                    train=found.splits.get(Split.TRAIN, 0),
                    valid=found.splits.get(Split.VALID, 0),
                    test=found.splits.get(Split.TEST, 0),
                    examples=[ExampleRead.of(image, root_path) for image in found.examples],
                )
                for found in preview.classes
            ],
            labelled=preview.labelled,
            unlabelled=UnlabelledRead(
                images=len(preview.unlabelled),
                examples=[ExampleRead.of(image, root_path) for image in preview.unlabelled[:EXAMPLES_SHOWN]],
            ),
            warnings=[
                WarningRead(code=warning.code, message=warning.message, classes=list(warning.classes))
                for warning in preview.warnings
            ],
            table=_table(preview),
            groups=GroupsRead.of(preview.groups) if preview.groups else None,
            overrides=OverridesRead(labelled=preview.by_hand, left_out=preview.dropped, classes=dict(preview.renamed)),
        )


def _table(preview: Preview) -> TableRead | None:
    if preview.table is None or not isinstance(preview.rule, ByTable):
        return None
    table = preview.table.table
    return TableRead(
        file=table.file,
        columns=list(table.columns),
        rows=len(table.rows),
        has_header=table.has_header,
        delimiter=preview.table.delimiter,
        encoding=preview.table.encoding,
        image_column=preview.rule.image_column,
        label_column=", ".join(preview.rule.label_columns),
        label_columns=list(preview.rule.label_columns),
    )


class SuggestionsRequest(_Body):
    """Labels that are known already, by path."""

    labels: Annotated[dict[str, str], BeforeValidator(all_texts)] | None = None


class SuggestionRead(BaseModel):
    """A rule that would fit, in words."""

    rule: dict[str, Json]
    split: dict[str, Json]
    words: str
    score: float
    preview: PreviewRead

    @classmethod
    def of(cls, suggestion: Suggestion, preview: Preview, root_path: str) -> Self:
        return cls(
            rule=suggestion.rule.model_dump(mode="json", exclude_none=True),
            split=suggestion.split.model_dump(mode="json", exclude_none=True),
            words=suggestion.words,
            score=suggestion.score,
            preview=PreviewRead.of(preview, root_path),
        )


class VersionCreate(PreviewRequest):
    """A rule and a split to freeze."""


class VersionRead(BaseModel):
    """A frozen version. ``classes`` stand in the order of the outputs.

    ``overrides`` are the changes by hand that it froze: ``{"image_id", "path", "label"}`` of pictures and
    ``{"class", "label"}`` of classes; null as a label means left out. In lists they are null; ask for the version.
    """

    id: str
    dataset_id: str
    number: int
    classes: list[str]
    counts: Mapping[str, Mapping[str, int]]
    rule: dict[str, Json]
    split: dict[str, Json]
    overrides: list[Json] | None
    override_count: int
    created_at: datetime

    @classmethod
    def of(cls, row: VersionRow, overrides: Sequence[Json] | None, count: int) -> Self:
        """A version with its overrides, or with their number only."""
        fields = {name: getattr(row, name) for name in cls.model_fields.keys() - {"overrides", "override_count"}}
        return cls(**fields, overrides=None if overrides is None else [*overrides], override_count=count)


class BatchItemRead(BaseModel):
    image_id: str
    label: str
    url: str


class BatchRead(BaseModel):
    items: list[BatchItemRead]
