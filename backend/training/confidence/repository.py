"""All SQL over what was chosen about the confidence of checkpoints."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.db.base import utc_now
from backend.domain.ids import CheckpointId
from backend.domain.json import Json
from backend.tables.training import ConfidenceRow


class Kept(NamedTuple):
    """A row without what is large in it; ``measured_at`` is None while strangeness can't be measured."""

    settings: Mapping[str, Json]
    parity: Mapping[str, Json] | None
    measured_at: datetime | None


class ConfidenceRepository:
    """Settings and measurements by checkpoint."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, checkpoint_id: CheckpointId) -> Kept | None:
        """What is kept of a checkpoint."""
        query = select(ConfidenceRow.settings, ConfidenceRow.parity, ConfidenceRow.measured_at)
        found = self._session.execute(query.where(ConfidenceRow.checkpoint_id == checkpoint_id)).one_or_none()
        return None if found is None else Kept(*found)

    def familiarity(self, checkpoint_id: CheckpointId) -> bytes | None:
        """What strangeness is measured by."""
        query = select(ConfidenceRow.familiarity).where(ConfidenceRow.checkpoint_id == checkpoint_id)
        return self._session.scalar(query)

    def put_settings(
        self, checkpoint_id: CheckpointId, settings: Mapping[str, Json], parity: Mapping[str, Json] | None
    ) -> None:
        """Keep what was chosen."""
        self._put(checkpoint_id, settings=dict(settings), parity=None if parity is None else dict(parity))

    def put_familiarity(self, checkpoint_id: CheckpointId, familiarity: bytes) -> None:
        """Keep what strangeness is measured by, in place of what was."""
        self._put(checkpoint_id, familiarity=familiarity, measured_at=utc_now())

    def _put(self, checkpoint_id: CheckpointId, **values: Any) -> None:  # Any: column values
        if self.find(checkpoint_id) is None:
            empty: dict[str, Any] = {"settings": {}}
            self._session.add(ConfidenceRow(checkpoint_id=checkpoint_id, **empty | values))
        else:
            changed = update(ConfidenceRow).where(ConfidenceRow.checkpoint_id == checkpoint_id)
            self._session.execute(changed.values(**values))
        self._session.flush()
