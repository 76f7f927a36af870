"""Whose turn it is: fair between people, in order for each, and only where the device is there."""

from collections.abc import Sequence

import pytest

from backend.domain.ids import JobId
from backend.ledger.clock import database_now
from backend.ledger.job import DEVICE_FAILED, JobKind, MachineState, Memory, Outcome, Worker
from backend.ledger.queries import Jobs
from tests.backend.ledger.conftest import WORKER, Books

CARD = Worker("card", "host-1", "cuda:0")


def ask(books: Books, *people: str, device: str = "auto") -> list[JobId]:
    """One job for each name, in that order."""
    with books.write() as ledger:
        return [ledger.add(JobKind.TRAIN, "run-1", asked_by=person, device=device) for person in people]


def take_all(books: Books, number: int) -> list[str]:
    """Have that many workers take one job each; the jobs in the order in which they were taken."""
    claims = [books.claim(Worker(f"worker-{place}", "host-1", f"cpu:{place}")) for place in range(number)]
    return [claim.job_id for claim in claims if claim is not None]


def places(books: Books, jobs: Sequence[str]) -> list[int]:
    with books.database.read() as session:
        found = Jobs(session).queue_positions(JobKind.TRAIN)
    return [found[job] for job in jobs]


def test_who_asks_for_many_does_not_hold_up_who_asks_for_one(books: Books) -> None:
    first, second, third, other = ask(books, "ana", "ana", "ana", "bo")

    assert take_all(books, 4) == [first, other, second, third]


def test_who_has_jobs_under_way_comes_after_who_has_none(books: Books) -> None:
    ask(books, "ana")
    books.claim()
    later, other = ask(books, "ana", "bo")

    assert take_all(books, 2) == [other, later]


def test_the_places_in_line_are_the_order_in_which_jobs_are_taken(books: Books) -> None:
    ask(books, "bo")
    books.claim()
    jobs = ask(books, "ana", "ana", "bo", "cy", "ana", "bo")

    shown = places(books, jobs)
    taken = take_all(books, 6)

    assert sorted(shown) == [1, 2, 3, 4, 5, 6]
    assert [jobs[shown.index(place)] for place in range(1, 7)] == taken


def test_a_job_that_waits_for_its_next_attempt_is_behind_the_others_and_delays_none(books: Books) -> None:
    first, second = ask(books, "ana", "ana")
    books.change(first, not_before=database_now(30))

    assert places(books, [first, second]) == [2, 1]
    assert take_all(books, 2) == [second]


def test_nobody_in_particular_is_one_person(books: Books) -> None:
    first, second = books.add("run-1"), books.add("run-2")

    assert take_all(books, 2) == [first, second]


def test_j28_a_job_for_a_gpu_waits_where_there_is_only_a_processor(books: Books) -> None:
    (job,) = ask(books, "ana", device="cuda")

    assert books.claim(WORKER) is None
    claim = books.claim(CARD)
    assert claim is not None
    assert claim.job_id == job


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_worker_with_a_gpu_does_the_rest_as_well(books: Books, device: str) -> None:
    ask(books, "ana", device=device)

    assert books.claim(CARD) is not None


def test_a_job_that_nobody_here_can_do_is_not_waiting_for_this_worker(books: Books) -> None:
    ask(books, "ana", device="cuda")

    with books.database.read() as session:
        assert not Jobs(session).has_waiting(JobKind.TRAIN, 0, WORKER)
        assert Jobs(session).has_waiting(JobKind.TRAIN, 0, CARD)


def fail_on_card(books: Books) -> bool:
    """An attempt whose card breaks down; whether the card rests after it."""
    books.add()
    claim = books.claim(CARD)
    assert claim is not None
    with books.write() as ledger:
        ledger.close(claim.job_id, claim.attempt, Outcome.DEVICE_FAILED, exit_code=40, failure=DEVICE_FAILED)
        return ledger.note_device_failure(claim.job_id, claim.attempt)


def test_a_card_that_fails_once_is_tried_again(books: Books) -> None:
    with books.write() as ledger:
        ledger.heartbeat(CARD, [JobKind.TRAIN], "a card", "1.0")

    assert fail_on_card(books) is False
    assert books.claim(CARD) is not None


def test_a_card_that_fails_twice_in_a_row_rests_for_five_minutes(books: Books) -> None:
    with books.write() as ledger:
        ledger.heartbeat(CARD, [JobKind.TRAIN], "a card", "1.0")
    fail_on_card(books)

    assert fail_on_card(books) is True
    books.add("import-1", JobKind.IMPORT)

    assert books.claim(CARD) is None
    assert books.claim(Worker("card", "host-1"), JobKind.IMPORT) is not None
    assert books.claim(Worker("other", "host-1", "cuda:1")) is not None
    with books.database.read() as session:
        (worker,) = Jobs(session).workers(heard_within_s=30)
        assert worker.quarantined_until is not None
        assert 290 < (worker.quarantined_until - worker.last_heartbeat_at).total_seconds() < 310


def test_a_card_that_fails_is_not_counted_against_the_job(books: Books) -> None:
    job_id = books.add()
    for attempt in range(1, 12):
        assert end_on_card(books, Outcome.DEVICE_FAILED, attempt) == "queued"

    job = books.job(job_id)
    assert (job.no_progress, job.error_code) == (0, None)
    assert books.claim(WORKER) is not None


def test_a_job_under_which_every_card_fails_has_failed_itself(books: Books) -> None:
    job_id = books.add()
    states = [end_on_card(books, Outcome.DEVICE_FAILED, attempt) for attempt in range(1, 13)]

    assert states == ["queued"] * 11 + ["failed"]
    assert books.job(job_id).error_code == "device-failed"


def test_only_failures_of_cards_one_after_the_other_count_together(books: Books) -> None:
    books.add()
    for attempt in range(1, 12):
        end_on_card(books, Outcome.DEVICE_FAILED, attempt)
    end_on_card(books, Outcome.YIELDED, 12)

    assert end_on_card(books, Outcome.DEVICE_FAILED, 13) == "queued"


def end_on_card(books: Books, outcome: Outcome, attempt: int) -> str | None:
    """The job's state after one more attempt that ended so."""
    claim = books.claim(CARD)
    assert claim is not None
    with books.write() as ledger:
        return ledger.close(claim.job_id, attempt, outcome, failure=DEVICE_FAILED)


def test_a_worker_shows_how_much_memory_its_device_has(books: Books) -> None:
    with books.write() as ledger:
        ledger.heartbeat(CARD, [JobKind.TRAIN], "a card", "1.0", MachineState(Memory(total=8_000, free=3_000), 4, 1.5))

    with books.database.read() as session:
        (worker,) = Jobs(session).workers(heard_within_s=30)
    assert (worker.memory_bytes, worker.memory_free_bytes) == (8_000, 3_000)
    assert (worker.processors, worker.other_threads) == (4, 1.5)
