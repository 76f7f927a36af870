"""What happens to uploads without a request: those cut off by a kill are finished, those left alone expire."""

import threading
from typing import Final

import structlog

from backend.db.base import utc_now
from backend.db.session import DATABASE_AWAY
from backend.domain.errors import AppError, InvalidInput, NotFound
from backend.imaging.pool import DecodingPool
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.uploads.create import KEPT_FOR
from backend.uploads.errors import UploadBusy
from backend.uploads.finish import settled
from backend.uploads.parts import delete_part, locked_part
from backend.uploads.receive import true_to_disk
from backend.uploads.repository import UploadRepository

log = structlog.get_logger()

EVERY_S: Final = 600.0


def recover_uploads(open_unit: OpenUnit, storage: Storage, decoders: DecodingPool) -> list[str]:
    """Cut parts to what is certain, and finish uploads of which every byte had come; the ids of the latter."""
    with open_unit() as unit:
        repository = UploadRepository(unit.session)
        open_ids, in_full = repository.open_ids(), repository.received_in_full()
    for upload_id in open_ids:
        try:
            with locked_part(storage, upload_id) as part:
                true_to_disk(open_unit, part, upload_id, None)
        except (UploadBusy, NotFound):  # a request has it, or has ended it meanwhile
            continue
    return [upload_id for upload_id in in_full if _finished(open_unit, storage, decoders, upload_id)]


def _finished(open_unit: OpenUnit, storage: Storage, decoders: DecodingPool, upload_id: str) -> bool:
    try:
        settled(open_unit, storage, decoders, upload_id, None)
    except (InvalidInput, NotFound) as error:
        # Nobody can finish it: what was sent can't be used.
        log.warning("upload_unusable", upload_id=upload_id, code=error.code)
        with open_unit() as unit:
            UploadRepository(unit.session).delete(upload_id)
        delete_part(storage, upload_id)
        return False
    except AppError as error:
        log.warning("upload_not_finished", upload_id=upload_id, code=error.code)
        return False
    log.info("upload_finished_after_a_cut", upload_id=upload_id)
    return True


def keep_recovering(open_unit: OpenUnit, storage: Storage, decoders: DecodingPool, stop: threading.Event) -> None:
    """Recover at once and then every few minutes until stopped; for a thread of its own, which no error ends."""
    wait_s = 0.0
    while not stop.wait(wait_s):
        wait_s = EVERY_S
        try:
            recover_uploads(open_unit, storage, decoders)
        except DATABASE_AWAY as error:
            log.warning("uploads_not_recovered", error=type(error).__name__)
        # One broken upload must not keep the others from being finished later.
        except Exception:
            log.exception("uploads_not_recovered")


def clear_uploads(open_unit: OpenUnit, storage: Storage, old_parts: list[str]) -> int:
    """Expire uploads that were left alone and delete parts that nothing needs; how many. Safe to repeat.

    ``old_parts``: ids of parts that were begun long enough ago not to be those of a request.
    """
    with open_unit() as unit:
        expired = UploadRepository(unit.session).out_of_date()
    for upload_id in expired:
        try:
            with locked_part(storage, upload_id), open_unit() as unit:
                UploadRepository(unit.session).expire(upload_id)
        except UploadBusy:
            continue
    with open_unit() as unit:
        repository = UploadRepository(unit.session)
        repository.forget_closed(utc_now() - KEPT_FOR)
        unneeded = repository.unneeded_parts([*expired, *old_parts])
    for upload_id in unneeded:
        delete_part(storage, upload_id)
    return len(unneeded)
