"""What the API of uploads gives beside the headers of the protocol."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from backend.datasets.schemas import UploadRead as ResultRead
from backend.tables.uploads import UploadRow


class ResumableRead(BaseModel):
    """An upload: ``offset`` of ``bytes`` have arrived.

    ``status`` is open, or complete: an archive has become the import ``import_id`` then, and ``result`` is what became
    of another file.
    """

    id: str
    dataset_id: str
    path: str
    kind: str
    bytes: int
    offset: int
    status: str
    fingerprint: str | None
    import_id: str | None
    result: ResultRead | None
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: UploadRow) -> Self:
        result: Any = row.result  # Any: JSON values, checked by pydantic
        return cls(
            id=row.id,
            dataset_id=row.dataset_id,
            path=row.path,
            kind=row.kind,
            bytes=row.length,
            offset=row.received,
            status=row.state,
            fingerprint=row.fingerprint,
            import_id=row.import_id,
            result=None if result is None else ResultRead.model_validate(result),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
