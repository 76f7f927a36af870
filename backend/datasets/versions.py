"""Find frozen versions of a dataset, and what is known of their pictures."""

from contextlib import suppress
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.errors import VersionNotFound
from backend.datasets.version_repository import VersionRepository
from backend.domain.drawn import Drawn, most_are
from backend.domain.ids import Digest
from backend.imaging.facts import drawn_from
from backend.tables.datasets import VersionRow

_LOOKED_AT: Final = 100
_REMEMBERED: Final = 1_000
_KINDS: Final[dict[str, Drawn | None]] = {}
"""Kinds of versions that were asked for, by their ids: a version never changes."""


def drawn_kind(session: Session, version_id: str) -> Drawn | None:
    """What most pictures of a version were drawn from, by its first ones; None where they are pictures."""
    with suppress(KeyError):
        return _KINDS[version_id]
    kind = most_are(map(drawn_from, VersionRepository(session).formats_of(version_id, _LOOKED_AT)))
    if len(_KINDS) >= _REMEMBERED:
        _KINDS.clear()
    _KINDS[version_id] = kind
    return kind


def faces_of(session: Session, version_id: str, each: int) -> dict[str, list[Digest]]:
    """The SHA-256 of a few pictures of each class, by its name; always the same ones."""
    return VersionRepository(session).faces(version_id, each)


def find_version(session: Session, version_id: str) -> VersionRow:
    """Raises VersionNotFound."""
    if (row := VersionRepository(session).find(version_id)) is None:
        raise VersionNotFound
    return row


def latest_version(session: Session, dataset_id: str) -> VersionRow | None:
    """A dataset's newest version, or None."""
    return VersionRepository(session).latest(dataset_id)
