from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from backend.db.session import Database
from backend.domain.ids import new_id
from backend.ledger.claiming import claim_next
from backend.ledger.clock import database_now
from backend.ledger.job import TRAINER_CRASHED, Claim, Desired, Failure, JobKind, LostLease, Outcome, Worker
from backend.ledger.queries import Jobs
from backend.ledger.timers import Timers
from backend.tables.ledger import JobAttemptRow
from tests.backend.ledger.conftest import OTHER_WORKER, WORKER, Books


def test_it_takes_the_job_that_has_waited_longest(books: Books) -> None:
    first, _second = books.add("run-1"), books.add("run-2")

    claim = books.claim()

    assert claim == Claim(first, JobKind.TRAIN, "run-1", attempt=1)


def test_a_claim_holds_a_lease_and_has_a_heartbeat_from_the_start(books: Books) -> None:
    claim = books.claimed()

    job = books.job(claim.job_id)
    assert (job.state, job.lease_owner, job.attempt) == ("starting", "worker-1", 1)
    assert job.last_heartbeat_at is not None
    assert job.lease_expires_at is not None
    assert 59 < (job.lease_expires_at - job.last_heartbeat_at).total_seconds() < 61


def test_a_claim_leaves_a_row_that_shows_who_and_where(books: Books) -> None:
    claim = books.claimed()

    (attempt,) = books.attempts(claim.job_id)
    assert (attempt.number, attempt.worker_id, attempt.host, attempt.device) == (
        1,
        "worker-1",
        "host-1",
        "cpu:worker-1",
    )
    assert attempt.ended_at is None


def test_it_takes_nothing_where_nothing_waits(books: Books) -> None:
    assert books.claim() is None


def test_it_takes_only_jobs_of_its_kind(books: Books) -> None:
    books.add("import-1", JobKind.IMPORT)

    assert books.claim(kind=JobKind.TRAIN) is None


def test_it_leaves_a_job_whose_time_has_not_come(books: Books) -> None:
    books.change(books.add(), not_before=database_now(30))

    assert books.claim() is None


def test_it_starts_nothing_on_a_device_that_is_taken(books: Books) -> None:
    books.claimed(Worker("one", "host-1", "cuda:0"))
    second = books.add("run-2")

    assert books.claim(Worker("two", "host-1", "cuda:0")) is None
    assert books.job(second).state == "queued"


def test_the_same_device_of_another_host_is_another_device(books: Books) -> None:
    books.claimed(Worker("one", "host-1", "cuda:0"))
    books.add("run-2")

    assert books.claim(Worker("two", "host-2", "cuda:0")) is not None


def test_two_workers_on_one_processor_both_work(books: Books) -> None:
    books.add("run-1")
    books.add("run-2")

    first, second = books.claim(WORKER), books.claim(OTHER_WORKER)

    assert first is not None
    assert second is not None
    assert first.job_id != second.job_id


def test_the_database_itself_refuses_a_second_open_attempt(books: Books) -> None:
    claim = books.claimed()
    values = {"id": new_id(), "job_id": claim.job_id, "number": 2, "worker_id": "x", "host": "y"}

    with pytest.raises(IntegrityError), books.database.write() as session:
        session.execute(insert(JobAttemptRow).values(**values))


def test_fifty_notifications_at_once_make_one_attempt(books: Books) -> None:
    job_id = books.add()

    def answer(number: int) -> Claim | None:
        return claim_next(books.database, JobKind.TRAIN, Worker(f"worker-{number}", "host-1"), Timers())

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(answer, range(50)))

    assert len([claim for claim in claims if claim]) == 1
    assert len(books.attempts(job_id)) == 1


def test_many_workers_never_share_a_job(books: Books) -> None:
    for number in range(12):
        books.add(f"run-{number}")

    def answer(number: int) -> Claim | None:
        return claim_next(books.database, JobKind.TRAIN, Worker(f"worker-{number}", "host-1"), Timers())

    with ThreadPoolExecutor(8) as pool:
        claims = [claim for claim in pool.map(answer, range(12)) if claim]

    assert len({claim.job_id for claim in claims}) == 12


def test_two_claims_for_one_device_at_once_start_one_job(books: Books) -> None:
    for number in range(4):
        books.add(f"run-{number}")

    def answer(number: int) -> Claim | None:
        return claim_next(books.database, JobKind.TRAIN, Worker(f"worker-{number}", "host-1", "cuda:0"), Timers())

    with ThreadPoolExecutor(4) as pool:
        claims = [claim for claim in pool.map(answer, range(8)) if claim]

    assert len(claims) == 1


def test_a_renewal_prolongs_the_lease_and_shows_what_is_wanted(books: Books) -> None:
    claim = books.claimed()
    books.change(claim.job_id, lease_expires_at=database_now(1))

    with books.write() as ledger:
        wanted = ledger.renew(claim.job_id, claim.attempt)

    assert wanted is Desired.RUN
    job = books.job(claim.job_id)
    assert job.lease_expires_at is not None
    assert job.last_heartbeat_at is not None
    assert job.lease_expires_at > job.last_heartbeat_at


def test_who_was_overtaken_can_write_nothing(books: Books) -> None:
    stale = books.claimed()
    books.let_lease_expire(stale.job_id)
    with books.write() as ledger:
        ledger.close(stale.job_id, 1, Outcome.LOST, failure=TRAINER_CRASHED)
    fresh = books.claim(OTHER_WORKER)
    assert fresh is not None

    for act in ("fence", "renew", "begin", "progressed", "finish"):
        with pytest.raises(LostLease), books.write() as ledger:
            getattr(ledger, act)(stale.job_id, stale.attempt)

    with books.write() as ledger:
        ledger.fence(fresh.job_id, fresh.attempt)
    assert fresh.attempt == 2


def test_who_was_written_off_can_write_nothing_even_before_somebody_takes_over(books: Books) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.close(claim.job_id, 1, Outcome.LOST, failure=TRAINER_CRASHED)

    with pytest.raises(LostLease), books.write() as ledger:
        ledger.fence(claim.job_id, claim.attempt)


def test_a_lease_that_ran_out_while_the_database_was_away_still_holds(books: Books) -> None:
    claim = books.claimed()
    books.let_lease_expire(claim.job_id)

    with books.write() as ledger:
        ledger.renew(claim.job_id, claim.attempt)


def test_it_runs_once_it_has_begun(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        ledger.begin(claim.job_id, claim.attempt)

    assert books.job(claim.job_id).state == "running"


def test_a_job_that_is_to_stop_does_not_begin_to_run(books: Books) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.cancel(claim.job_id)

    with books.write() as ledger:
        ledger.begin(claim.job_id, claim.attempt)

    assert books.job(claim.job_id).state == "stopping"


def test_a_finished_job_has_succeeded(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        end = ledger.finish(claim.job_id, claim.attempt)
        ledger.close(claim.job_id, claim.attempt, Outcome.DONE, exit_code=0, failure=TRAINER_CRASHED)

    job = books.job(claim.job_id)
    assert (end, job.state, job.error_code) == ("succeeded", "succeeded", None)
    assert job.ended_at is not None
    assert _outcomes(books, claim) == [("done", 0)]


def test_a_failed_job_keeps_the_reason(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        ledger.fail(claim.job_id, claim.attempt, Failure("diverged", "It went off the rails.", "Take a lower rate."))
        ledger.close(claim.job_id, claim.attempt, Outcome.FAILED, exit_code=20, failure=TRAINER_CRASHED)

    job = books.job(claim.job_id)
    assert (job.state, job.error_code, job.error_message, job.error_advice) == (
        "failed",
        "diverged",
        "It went off the rails.",
        "Take a lower rate.",
    )
    assert _outcomes(books, claim) == [("failed", 20)]


def test_a_waiting_job_is_cancelled_at_once(books: Books) -> None:
    job_id = books.add()

    with books.write() as ledger:
        state = ledger.cancel(job_id)

    assert (state, books.job(job_id).state) == ("cancelled", "cancelled")
    assert books.claim() is None


def test_a_held_job_stops_first(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        state = ledger.cancel(claim.job_id)
        wanted = ledger.renew(claim.job_id, claim.attempt)

    assert (state, wanted) == ("stopping", "cancel")


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.YIELDED, Outcome.CRASHED, Outcome.LOST])
def test_a_job_that_is_to_stop_is_cancelled_however_its_process_ended(books: Books, outcome: Outcome) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.cancel(claim.job_id)

    with books.write() as ledger:
        state = ledger.close(claim.job_id, claim.attempt, outcome, exit_code=-9, failure=TRAINER_CRASHED)

    assert state == "cancelled"
    assert _outcomes(books, claim) == [("cancelled", -9)]


def test_success_that_comes_after_a_cancel_is_a_cancel(books: Books) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.cancel(claim.job_id)

    with books.write() as ledger:
        assert ledger.finish(claim.job_id, claim.attempt) == "cancelled"


def test_a_cancel_that_comes_after_success_changes_nothing(books: Books) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.finish(claim.job_id, claim.attempt)

    with books.write() as ledger:
        assert ledger.cancel(claim.job_id) == "succeeded"


def test_a_crash_is_tried_again_and_again_later(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        state = ledger.close(claim.job_id, 1, Outcome.CRASHED, exit_code=-9, failure=TRAINER_CRASHED)
    second = books.claim()
    with books.write() as ledger:
        ledger.close(claim.job_id, 2, Outcome.CRASHED, exit_code=-9, failure=TRAINER_CRASHED)

    assert state == "queued"
    assert second is not None
    assert books.claim() is None  # for half a minute
    job = books.job(claim.job_id)
    assert job.not_before is not None
    assert job.last_heartbeat_at is not None
    assert 25 < (job.not_before - job.last_heartbeat_at).total_seconds() < 35


def test_three_tries_without_progress_are_enough(books: Books) -> None:
    job_id = books.add()
    for attempt in (1, 2, 3):
        books.change(job_id, not_before=database_now(-1))
        assert books.claim() is not None
        with books.write() as ledger:
            state = ledger.close(job_id, attempt, Outcome.CRASHED, exit_code=-9, failure=TRAINER_CRASHED)

    job = books.job(job_id)
    assert (state, job.state, job.error_code, job.attempt) == ("failed", "failed", "worker-crashed", 3)
    assert books.claim() is None


def test_progress_forgives_former_tries(books: Books) -> None:
    job_id = books.add()
    for attempt in range(1, 6):
        books.change(job_id, not_before=database_now(-1))
        assert books.claim() is not None
        with books.write() as ledger:
            ledger.progressed(job_id, attempt)
            state = ledger.close(job_id, attempt, Outcome.CRASHED, exit_code=-9, failure=TRAINER_CRASHED)

    assert (state, books.job(job_id).no_progress) == ("queued", 1)


def test_a_worker_that_leaves_counts_nothing_against_the_job(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        ledger.close(claim.job_id, 1, Outcome.YIELDED, exit_code=12, failure=TRAINER_CRASHED)

    assert books.job(claim.job_id).no_progress == 0
    assert books.claim(OTHER_WORKER) is not None


def test_an_attempt_is_closed_once(books: Books) -> None:
    claim = books.claimed()

    with books.write() as ledger:
        first = ledger.close(claim.job_id, 1, Outcome.LOST, failure=TRAINER_CRASHED)
        again = ledger.close(claim.job_id, 1, Outcome.CRASHED, exit_code=-9, failure=TRAINER_CRASHED)

    assert (first, again) == ("queued", None)
    assert books.job(claim.job_id).no_progress == 1
    assert _outcomes(books, claim) == [("lost", None)]


def test_the_device_is_free_only_when_the_attempt_is_closed(books: Books) -> None:
    card = Worker("one", "host-1", "cuda:0")
    claim = books.claimed(card)
    books.add("run-2")
    with books.write() as ledger:
        ledger.finish(claim.job_id, claim.attempt)

    assert books.claim(card) is None
    with books.write() as ledger:
        ledger.close(claim.job_id, 1, Outcome.DONE, exit_code=0, failure=TRAINER_CRASHED)
    assert books.claim(card) is not None


def test_it_knows_the_places_in_line(books: Books) -> None:
    books.claimed()
    second, third = books.add("run-2"), books.add("run-3")

    with books.database.read() as session:
        assert Jobs(session).queue_positions(JobKind.TRAIN) == {second: 1, third: 2}


def test_it_knows_who_waits_beside_an_idle_worker(books: Books) -> None:
    job_id = books.add()
    with books.database.read() as session:
        assert not Jobs(session).has_waiting(JobKind.TRAIN, for_s=20)
        assert not Jobs(session).is_busy("worker-1", JobKind.TRAIN)
    books.change(job_id, not_before=database_now(-21))
    with books.database.read() as session:
        assert Jobs(session).has_waiting(JobKind.TRAIN, for_s=20)
    books.claim()
    with books.database.read() as session:
        assert Jobs(session).is_busy("worker-1", JobKind.TRAIN)
        assert not Jobs(session).is_busy("worker-1", JobKind.IMPORT)
        assert not Jobs(session).is_busy("worker-2", JobKind.TRAIN)


def test_workers_are_heard_of_and_forgotten(books: Books, database: Database) -> None:
    with books.write() as ledger:
        ledger.heartbeat(WORKER, [JobKind.TRAIN, JobKind.IMPORT], None, "1.0")
        ledger.heartbeat(WORKER, [JobKind.TRAIN], "a card", "1.0")
        ledger.heartbeat(OTHER_WORKER, [JobKind.TRAIN], None, "1.0")
        ledger.remove_worker("worker-2")

    with database.read() as session:
        (worker,) = Jobs(session).workers(heard_within_s=30)
        assert (worker.id, worker.kinds, worker.device_name) == ("worker-1", "train", "a card")
        assert Jobs(session).workers(heard_within_s=-1) == []


def _outcomes(books: Books, claim: Claim) -> list[tuple[str | None, int | None]]:
    return [(row.outcome, row.exit_code) for row in books.attempts(claim.job_id) if row.ended_at is not None]
