"""Which pictures one bulk action is for: some by their ids, or all that a filter shows.

Every bulk action takes a ``Selection`` and works through ``batches`` of it: deleting (``deletion.bin``) does, and
relabelling is to. A request has ``ids``, or the query of the list's address as ``filter`` and the pictures that were
taken out of it again as ``except``. A filter is sent as the filter and not as ids, so that a hundred thousand pictures
are one small request; each action answers how many it skipped. In the page, buttons of further actions stand in the bar
of ``datasets/images.html``, and ``frontend/src/grid.ts`` hands the same three fields to them (``selectionBody``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from backend.datasets.errors import SelectionUnclear
from backend.datasets.pictures.listing import ImageQuery, checked
from backend.datasets.pictures.repository import PictureLists
from backend.db.session import Database

MOST_IDS: Final = 20_000
"""Ids that one request may have; more are chosen by a filter."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Pictures of one dataset: ``ids``, or all that ``query`` lists without those in ``excepted``."""

    ids: tuple[str, ...] = ()
    query: ImageQuery | None = None
    excepted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, ids: Sequence[str], filter: str | None, excepted: Sequence[str]) -> "Selection":
        """What a request means; ``filter`` is the query of the list's address, empty for all pictures.

        Raises:
            SelectionUnclear: both or neither of ids and filter were sent.
        """
        if bool(ids) == (filter is not None):
            raise SelectionUnclear
        if filter is None:
            return cls(ids=tuple(dict.fromkeys(ids)))
        return cls(query=ImageQuery.of_address(filter), excepted=frozenset(excepted))

    def batches(self, database: Database, dataset_id: str) -> Iterator[list[str]]:
        """Ids, a few hundred at a time; those of a filter are read as they are at that moment.

        Raises:
            DatasetNotFound, InvalidInput: the filter can't be listed.
        """
        if self.query is None:
            yield list(self.ids)
            return
        after: str | None = None
        while True:
            with database.read() as session:
                chosen = checked(session, dataset_id, self.query).chosen
                found, after = PictureLists(session).ids(dataset_id, chosen, limit=_AT_ONCE, after=after)
            if wanted := [image_id for image_id in found if image_id not in self.excepted]:
                yield wanted
            if after is None:
                return
