"""What the API of changes of labels takes and gives."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from backend.datasets.labels.ledger.changes import Done, Wish
from backend.datasets.labels.ledger.csv_in import TableLabels
from backend.datasets.labels.repository import CLASS, Author
from backend.datasets.labels.selection import Selection, Show
from backend.domain.json import Json
from backend.domain.labels.rules import RuleSpec
from backend.domain.splitting import SplitSpec
from backend.tables.labels import LabelBatchRow, LabelChangeRow

_EXAMPLES = 20


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Action(_Body):
    """What every action may say about itself."""

    reason: str = Field("", max_length=200, examples=["top-losses"], description="Why; it stands in the ledger.")
    run_id: str | None = Field(None, max_length=32, description="The training whose mistakes led to it.")

    def by(self, who: str) -> Author:
        """The action's author."""
        return Author(who, self.reason, self.run_id)


class LabelChangeIn(_Body):
    """A label for one picture; null leaves it out of the training."""

    image_id: str = Field(max_length=64)
    label: str | None
    to_rule: bool = Field(False, description="The rule decides again; send `label` as null.")
    before: str | None = Field(None, description="The label you saw; if it is another one by now: 409.")
    confirmed: bool = Field(False, description="Somebody has looked at the picture: recorded even if nothing changes.")

    @property
    def wish(self) -> Wish:
        """As the use case takes it."""
        seen = (self.before,) if "before" in self.model_fields_set else None
        return Wish(self.image_id, self.label, self.to_rule, seen, self.confirmed)


class SelectionIn(_Body):
    """Which pictures are meant; what is left out doesn't filter."""

    show: Show = Show.ALL
    label: str = Field("", max_length=200, alias="class", description="A class as it is called at present.")
    folder: str = Field("", max_length=4096)
    text: str = Field("", max_length=200, description="A part of the path.")

    @property
    def selection(self) -> Selection:
        """As the use case takes it."""
        return Selection(self.show, self.label, self.folder, self.text)


def _all_objects(changes: Any) -> Any:  # Any: what somebody sent
    """Stop at the first change that isn't one; pydantic would report every one of thousands."""
    if isinstance(changes, list) and not all(isinstance(change, dict) for change in changes):
        raise ValueError("Each change must be an object with image_id and label.")
    return changes


class LabelsPatch(_Action):
    """Labels for pictures: ``changes`` one by one, or one ``label`` for all that ``select`` means."""

    changes: Annotated[list[LabelChangeIn] | None, Field(min_length=1), BeforeValidator(_all_objects)] = None
    select: SelectionIn | None = None
    label: str | None = None
    to_rule: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.changes is None) == (self.select is None):
            raise ValueError("Send either “changes”, or “select” with “label”.")
        if self.select and not (self.to_rule or "label" in self.model_fields_set):
            raise ValueError("“select” needs a “label”; null leaves the pictures out.")
        return self


class ClassesChange(_Action):
    """Rename a class, merge several, or leave them out (``to`` null), without touching files."""

    classes: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=1000)
    to: str | None


class RuleChange(_Body):
    """The rule and the split that the labels follow from now on."""

    rule: RuleSpec
    split: SplitSpec | None = None


class RuleRead(BaseModel):
    """The rule and the split that the labels follow at present; null while nobody has chosen any."""

    rule: dict[str, Json] | None
    split: dict[str, Json] | None


class BatchRequest(_Body):
    """Which action; the newest where it is left out."""

    batch_id: str | None = Field(None, max_length=64)


class ChangedRead(BaseModel):
    """What an action did; ``batch_id`` is null where everything was as wished already."""

    batch_id: str | None
    message: str
    changed: int
    unchanged: int

    @classmethod
    def of(cls, done: Done) -> Self:
        return cls(batch_id=done.batch_id, message=done.words, changed=done.changed, unchanged=done.unchanged)


class UndoneRead(BaseModel):
    """The action that was undone or brought back; ``message`` is what it did."""

    batch_id: str
    message: str
    changes: int

    @classmethod
    def of(cls, batch: LabelBatchRow) -> Self:
        return cls(batch_id=batch.id, message=batch.words, changes=batch.images)


class ChangeRead(BaseModel):
    """A change in the ledger, of one picture or (``class``) of all that the rule calls so."""

    id: str
    batch_id: str
    image_id: str | None
    path: str | None
    class_name: str | None = Field(serialization_alias="class")
    before: str | None
    after: str | None
    left_out: bool
    by_rule: bool
    who: str
    reason: str
    run_id: str | None
    created_at: datetime
    undone_at: datetime | None
    undone_by: str | None

    @classmethod
    def of(cls, row: LabelChangeRow, batch: LabelBatchRow) -> Self:
        is_class = row.kind == CLASS
        return cls(
            id=row.id,
            batch_id=batch.id,
            image_id=row.image_id,
            path=None if is_class else row.path,
            class_name=row.key if is_class else None,
            before=row.before,
            after=row.after,
            left_out=row.label is None and not row.is_rule,
            by_rule=row.is_rule,
            who=batch.who,
            reason=batch.reason,
            run_id=batch.run_id,
            created_at=batch.created_at,
            undone_at=batch.undone_at,
            undone_by=batch.undone_by,
        )


class MissesRead(BaseModel):
    """How many there are, and the first of them."""

    count: int
    examples: list[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        return cls(count=len(names), examples=[*names[:_EXAMPLES]])


class TableTakenRead(ChangedRead):
    """What taking the labels of a table did, and what fits nothing on either side."""

    rows: int
    rows_without_image: MissesRead
    images_without_row: MissesRead
    ambiguous: MissesRead
    contradictory: MissesRead

    @classmethod
    def of_table(cls, found: TableLabels, done: Done) -> Self:
        """What a table said, and what came of it."""
        fields: Mapping[str, Any] = ChangedRead.of(done).model_dump()  # Any: fields of several types
        return cls(
            **fields,
            rows=found.rows,
            rows_without_image=MissesRead.of(found.without_image),
            images_without_row=MissesRead.of([image.path for image in found.without_row[:_EXAMPLES]]).model_copy(
                update={"count": len(found.without_row)}
            ),
            ambiguous=MissesRead.of(found.ambiguous),
            contradictory=MissesRead.of(found.contradictory),
        )
