"""What the ledger of labels says of one picture."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.repository import ChangeFilter, LabelLedger

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class LabelChanged:
    """A change of a picture's label by hand; ``before`` and ``after`` are None where it had none or was left out."""

    before: str | None
    after: str | None
    who: str
    reason: str
    at: datetime
    is_undone: bool


def label_history(session: Session, dataset_id: str, digest: str) -> list[LabelChanged]:
    """The newest changes of a picture's label, the newest first."""
    found = LabelLedger(session).changes(dataset_id, ChangeFilter(digest), limit=_SHOWN)
    return [
        LabelChanged(row.before, row.after, batch.who, batch.reason, batch.created_at, row.is_undone)
        for row, batch in found
    ]
