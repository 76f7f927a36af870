"""What people mark runs with: a star and a note."""

from typing import Final

from backend.db.session import WriteSession
from backend.domain.ids import RunId
from backend.training.find import find_run
from backend.training.repository import RunRepository

NOTE_LENGTH: Final = 1_000
"""Letters of a note."""


def mark(session: WriteSession, run_id: RunId, *, starred: bool | None = None, note: str | None = None) -> None:
    """Star a run or take the star away, and write a note; None leaves either as it is.

    Raises:
        RunNotFound
    """
    find_run(session, run_id)
    wanted = {"starred": starred, "note": None if note is None else note.strip()}
    if changes := {name: value for name, value in wanted.items() if value is not None}:
        RunRepository(session).show(run_id, **changes)
