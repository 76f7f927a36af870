"""Pausing, going on, ending soon, and resting for want of disk space."""

import pytest

from backend.ledger.job import TRAINER_CRASHED, Failure, JobState, LostLease, Outcome
from backend.ledger.sweep import ROOM_TO_SPARE, Sweeper
from tests.backend.ledger.conftest import OTHER_WORKER, Books
from tests.conftest import CollectingNotifier

FULL = Failure("disk-full", "The disk is full.", "Free 320 MB.")


def pause(books: Books, job_id: str) -> JobState:
    with books.write() as ledger:
        return ledger.pause(job_id)


def resume(books: Books, job_id: str) -> JobState:
    with books.write() as ledger:
        return ledger.resume(job_id)


def test_a_waiting_job_is_paused_at_once_and_nobody_takes_it(books: Books) -> None:
    job_id = books.add()

    assert pause(books, job_id) == "paused"
    assert books.claim() is None


def test_a_paused_job_goes_back_into_the_queue(books: Books) -> None:
    job_id = books.add()
    pause(books, job_id)

    assert resume(books, job_id) == "queued"
    assert books.claim() is not None


def test_a_held_job_stops_and_is_paused_however_its_process_ended(books: Books) -> None:
    claim = books.claimed()

    first, again = pause(books, claim.job_id), pause(books, claim.job_id)
    with books.write() as ledger:
        assert ledger.renew(claim.job_id, claim.attempt) == "pause"
        state = ledger.close(claim.job_id, 1, Outcome.CRASHED, exit_code=-9, failure=TRAINER_CRASHED)

    assert (first, again, state) == ("stopping", "stopping", "paused")
    assert books.job(claim.job_id).no_progress == 0


def test_a_pause_that_has_not_happened_yet_is_taken_back(books: Books) -> None:
    claim = books.claimed()
    pause(books, claim.job_id)

    state = resume(books, claim.job_id)

    assert state == "running"
    with books.write() as ledger:
        assert ledger.renew(claim.job_id, claim.attempt) == "run"
        assert ledger.finish(claim.job_id, claim.attempt) == "succeeded"


def test_a_process_that_paused_just_before_the_pause_was_withdrawn_returns_to_the_queue(books: Books) -> None:
    claim = books.claimed()
    pause(books, claim.job_id)
    resume(books, claim.job_id)

    with books.write() as ledger:
        state = ledger.close(claim.job_id, 1, Outcome.PAUSED, exit_code=10, failure=TRAINER_CRASHED)

    assert (state, books.job(claim.job_id).no_progress) == ("queued", 0)
    assert books.claim(OTHER_WORKER) is not None


def test_a_job_that_was_faster_than_its_pause_has_succeeded(books: Books) -> None:
    claim = books.claimed()
    pause(books, claim.job_id)

    with books.write() as ledger:
        assert ledger.finish(claim.job_id, claim.attempt) == "succeeded"


def test_a_pause_does_not_take_back_a_cancel(books: Books) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.cancel(claim.job_id)

    pause(books, claim.job_id)

    assert books.job(claim.job_id).desired == "cancel"


def test_a_paused_job_can_be_cancelled(books: Books) -> None:
    job_id = books.add()
    pause(books, job_id)

    with books.write() as ledger:
        assert ledger.cancel(job_id) == "cancelled"
    assert resume(books, job_id) == "cancelled"


def test_a_running_job_is_asked_to_end_soon_and_still_is_after_a_crash(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        assert ledger.finish_soon(claim.job_id) == "starting"
        ledger.close(claim.job_id, 1, Outcome.CRASHED, exit_code=1, failure=TRAINER_CRASHED)
    again = books.claim(OTHER_WORKER)

    assert again is not None
    with books.write() as ledger:
        assert ledger.renew(again.job_id, again.attempt) == "finish"


def rest_for_room(books: Books, needed: int) -> str:
    claim = books.claimed()
    with books.write() as ledger:
        assert ledger.pause_for_room(claim.job_id, claim.attempt, FULL, needed) == "paused"
        ledger.close(claim.job_id, claim.attempt, Outcome.PAUSED, exit_code=50, failure=TRAINER_CRASHED)
    return claim.job_id


def sweep(books: Books, notifier: CollectingNotifier, free: int) -> int:
    return Sweeper(books.database, notifier, free_bytes=lambda: free).sweep().found_room


def test_a_job_without_room_rests_with_its_reason(books: Books) -> None:
    job = books.job(rest_for_room(books, 320))

    assert (job.state, job.desired, job.error_code, job.waits_for_bytes) == ("paused", "run", "disk-full", 320)
    assert job.no_progress == 0
    (attempt,) = books.attempts(job.id)
    assert (attempt.outcome, attempt.exit_code) == ("paused", 50)


def test_it_continues_by_itself_once_there_is_room(books: Books, notifier: CollectingNotifier) -> None:
    job_id = rest_for_room(books, 320)

    assert sweep(books, notifier, ROOM_TO_SPARE + 319) == 0
    assert books.job(job_id).state == "paused"
    assert sweep(books, notifier, ROOM_TO_SPARE + 320) == 1

    job = books.job(job_id)
    assert (job.state, job.error_code, job.waits_for_bytes) == ("queued", None, None)
    assert notifier.notifications == ["train"]


def test_its_owner_may_try_at_once(books: Books) -> None:
    job_id = rest_for_room(books, 320)

    assert resume(books, job_id) == "queued"
    assert books.job(job_id).error_code is None


def test_it_stays_paused_where_its_owner_wants_that(books: Books, notifier: CollectingNotifier) -> None:
    job_id = rest_for_room(books, 320)
    pause(books, job_id)

    assert sweep(books, notifier, 10 * ROOM_TO_SPARE) == 0
    assert books.job(job_id).state == "paused"


def test_a_disk_with_errors_has_no_room(books: Books, notifier: CollectingNotifier) -> None:
    rest_for_room(books, 320)

    def ill() -> int:
        raise OSError(5, "Input/output error")

    assert Sweeper(books.database, notifier, free_bytes=ill).sweep().found_room == 0


def test_who_was_overtaken_rests_nothing(books: Books) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.close(claim.job_id, 1, Outcome.LOST, failure=TRAINER_CRASHED)

    with pytest.raises(LostLease), books.write() as ledger:
        ledger.pause_for_room(claim.job_id, 1, FULL, 320)


def test_kills_by_the_system_are_counted_until_something_else_happens(books: Books) -> None:
    job_id = books.add()
    for attempt, exit_code in ((1, -9), (2, 1), (3, -9), (4, -9)):
        books.change(job_id, not_before=None, no_progress=0)
        books.claim()
        with books.write() as ledger:
            ledger.close(job_id, attempt, Outcome.CRASHED, exit_code=exit_code, failure=TRAINER_CRASHED)

    with books.write() as ledger:
        assert ledger.kills_in_a_row(job_id) == 2
