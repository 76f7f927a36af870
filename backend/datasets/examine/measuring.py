"""Measures for pictures that were added before any were taken."""

from collections.abc import Callable

from backend.datasets.examine.comparison_repository import ComparisonRepository
from backend.datasets.repository import DatasetRepository
from backend.db.session import WriteSession
from backend.domain.ids import Digest
from backend.imaging.measures import Measures
from backend.imaging.pool import DecodingPool
from backend.imaging.tasks import measures_of
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage

_BATCH = 64


def fill_missing(
    open_unit: OpenUnit,
    storage: Storage,
    decoders: DecodingPool,
    dataset_id: str,
    *,
    fence: Callable[[WriteSession], None],
    should_stop: Callable[[], bool],
) -> None:
    """Measure every picture of a dataset that has no measures; safe to repeat, and to break off.

    A picture whose file is gone or can't be read any more stays without.

    Args:
        fence: called inside every transaction; raises where another attempt has taken over.
        should_stop: asked before each batch of pictures.

    Raises:
        DatasetNotFound, DecodersBusy, DecodersDown
    """
    after = ""
    while not should_stop():
        with open_unit() as unit:
            fence(unit.session)
            batch = ComparisonRepository(unit.session, dataset_id).unmeasured(limit=_BATCH, after=after)
        if not batch:
            return
        after = batch[-1][0]
        answers = decoders.run_all(batch, lambda image: _call(storage, image[1]))
        measured = [(image[0], answer) for image, answer in answers if isinstance(answer, Measures)]
        with open_unit() as unit:
            fence(unit.session)
            # Whoever deletes pictures waits, so that none is measured that has just gone.
            DatasetRepository(unit.session).lock(dataset_id)
            ComparisonRepository(unit.session, dataset_id).add_measures(measured)


def _call(storage: Storage, digest: Digest) -> tuple[Callable[[bytes], Measures], tuple[bytes]] | None:
    try:
        return measures_of, (storage.read_blob(digest),)
    except FileNotFoundError:
        return None
