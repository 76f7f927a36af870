"""Real child processes, one supervisor: the test itself."""

import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from backend.datasets.imports import take_archive
from backend.db.session import Database, ReadSession, WriteSession
from backend.domain.ids import new_id
from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.job import JobKind
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.sweep import Sweeper
from backend.ledger.unit_of_work import NoDoorbell, unit_of_work
from backend.tables.datasets import DatasetRow, ImportRow
from backend.tables.ledger import JobAttemptRow, JobRow
from backend.tables.training import RunRow
from backend.training import control
from backend.training.repository import RunRepository
from backend.training.run_view import RunView, show_run
from backend.training.start import RunOrder, start
from tests.conftest import CollectingDoorbell
from tests.fixtures.full_disk import fill_up
from tests.fixtures.pictures import folder_of_shapes
from tests.fixtures.versions import add_shapes
from tests.worker.kill.steady_trainer import Deaths
from worker.identity import WorkerContext
from worker.supervisor import run_waiting_jobs

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What the test is about happens between processes; the ledger's own tests run on both."""


def _run(parts: WorkerContext, name: str = "steady", epochs: int = 2) -> str:
    with parts.database.write() as session:
        version_id = add_shapes(session, parts.storage, train=2, valid=1)
    request = TrainingRequest(stages=(StageRequest(epochs=epochs),))
    with unit_of_work(parts.database, NoDoorbell()) as unit:
        return start(unit, RunOrder(version_id, request, name), Path("/nowhere")).id


def _ask(parts: WorkerContext, run_id: str, what: str, *, after_steps: int) -> None:
    """What a run's owner wants, said while it is under way: once so many steps are made."""

    def say() -> None:
        with unit_of_work(parts.database, NoDoorbell()) as unit:
            match what:
                case "pause":
                    control.pause(unit.session, run_id)
                case "resume":
                    control.resume(unit, run_id)
                case "finish":
                    control.finish(unit.session, run_id)

    if after_steps:
        _after_steps(parts, run_id, after_steps, say)
    else:
        say()


def _after_steps(parts: WorkerContext, run_id: str, number: int, do: Callable[[], None]) -> None:
    """Do something once a run has made so many steps."""

    def wait() -> None:
        _wait_until(lambda: _steps(parts, run_id) >= number)
        do()

    threading.Thread(target=wait).start()


def _trace(parts: WorkerContext, run_id: str) -> list[str]:
    """Every step that was made, ``epoch.step``, in order."""
    return (parts.settings.data / f"trace-{run_id}").read_text().split()


def _steps(parts: WorkerContext, run_id: str) -> int:
    """How many steps were made so far."""
    trace = parts.settings.data / f"trace-{run_id}"
    return len(trace.read_text().split()) if trace.exists() else 0


def _wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)


def _job(parts: WorkerContext, run_id: str) -> JobRow:
    with parts.database.read() as session:
        job = Jobs(session).find(session.get_one(RunRow, run_id).job_id)
        assert job is not None
        return job


def _view(parts: WorkerContext, run_id: str) -> RunView:
    with parts.database.read() as session:
        return show_run(session, run_id)


def _attempts(parts: WorkerContext, run_id: str) -> list[JobAttemptRow]:
    with parts.database.read() as session:
        return Jobs(session).attempts(session.get_one(RunRow, run_id).job_id)


def test_it_does_what_waits_and_then_returns(parts: WorkerContext) -> None:
    first, second = _run(parts), _run(parts, epochs=1)

    done = run_waiting_jobs(parts, JobKind.TRAIN)

    assert done == 2
    assert (_view(parts, first).status, _view(parts, second).status) == ("succeeded", "succeeded")
    (attempt,) = _attempts(parts, first)
    assert (attempt.outcome, attempt.exit_code, attempt.device) == ("done", 0, "cpu:hound")
    assert attempt.pid is not None


def test_it_returns_at_once_where_nothing_waits(parts: WorkerContext) -> None:
    assert run_waiting_jobs(parts, JobKind.TRAIN) == 0


def test_it_begins_nothing_while_the_worker_leaves(parts: WorkerContext) -> None:
    run_id = _run(parts)
    Path(parts.post.drain_flag).touch()

    assert run_waiting_jobs(parts, JobKind.TRAIN) == 0
    assert _view(parts, run_id).status == "queued"


def test_j21_a_leaving_worker_gives_its_job_back_and_rings(parts: WorkerContext, doorbell: CollectingDoorbell) -> None:
    run_id = _run(parts, epochs=500)
    parts = replace(parts, post=replace(parts.post, timers=replace(parts.post.timers, kill_grace=20)))
    threading.Thread(target=_leave_after_a_step, args=(parts, run_id)).start()

    run_waiting_jobs(parts, JobKind.TRAIN)

    assert _view(parts, run_id).status == "queued"
    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("yielded", 12)]
    assert doorbell.notifications == [JobKind.TRAIN]


@on_one_database
def test_j21_a_process_that_is_told_to_leave_before_it_can_hear_it_counts_nothing_either(parts: WorkerContext) -> None:
    run_id = _run(parts)
    threading.Timer(0.5, Path(parts.post.drain_flag).touch).start()

    run_waiting_jobs(replace(parts, post=replace(parts.post, trainer="tests.worker.kill.slow_starter")), JobKind.TRAIN)

    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("yielded", -15)]
    job = _job(parts, run_id)
    assert (job.state, job.no_progress) == ("queued", 0)


def test_j06_a_job_whose_process_dies_each_time_fails_after_three(parts: WorkerContext) -> None:
    run_id = _run(parts, "crashes")

    run_waiting_jobs(parts, JobKind.TRAIN)

    view = _view(parts, run_id)
    assert view.failure is not None
    assert (view.status, view.failure.code) == ("failed", "machine-out-of-memory")
    assert [row.outcome for row in _attempts(parts, run_id)] == ["crashed", "crashed", "crashed"]


@on_one_database
def test_a_process_that_cannot_even_start_is_a_crash_with_its_reason_in_the_log(parts: WorkerContext) -> None:
    run_id = _run(parts)
    broken = replace(parts, post=replace(parts.post, trainer="tests.worker.no_such_trainer"))

    run_waiting_jobs(broken, JobKind.TRAIN)

    view = _view(parts, run_id)
    assert view.failure is not None
    assert view.failure.code == "worker-crashed"
    logs = sorted((parts.settings.data / "logs" / "jobs").iterdir())
    assert len(logs) == 3
    assert "no_such_trainer" in logs[0].read_text()


@on_one_database
def test_j24_a_stuck_process_is_ended_with_its_stack_in_the_log(parts: WorkerContext) -> None:
    run_id = _run(parts, "stuck")
    impatient = replace(parts, post=replace(parts.post, timers=replace(parts.post.timers, stall=3, tries=1)))

    run_waiting_jobs(impatient, JobKind.TRAIN)

    view = _view(parts, run_id)
    assert view.failure is not None
    assert view.failure.code == "stalled"
    (log,) = (parts.settings.data / "logs" / "jobs").iterdir()
    assert "steady_trainer.py" in log.read_text()


@on_one_database
def test_j24_a_wedged_training_that_still_beats_is_found_and_goes_on(parts: WorkerContext) -> None:
    run_id = _run(parts, "wedged")
    impatient = replace(parts, post=replace(parts.post, timers=replace(parts.post.timers, stall=3)))

    run_waiting_jobs(impatient, JobKind.TRAIN)

    assert _view(parts, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("crashed", -9), ("done", 0)]
    log = sorted((parts.settings.data / "logs" / "jobs").iterdir())[0].read_text()
    assert "_misbehave_at_step" in log
    assert _trace(parts, run_id) == [f"{epoch}.{step}" for epoch, step in ((0, 0), (0, 1), (0, 2), (0, 3))] + [
        f"1.{step}" for step in (0, 1, 0, 1, 2, 3)
    ]


@on_one_database
def test_a_slow_training_is_given_the_time_that_its_steps_take(parts: WorkerContext) -> None:
    run_id = _run(parts, epochs=40)

    def be_patient_and_leave() -> None:
        _wait_until(lambda: _job(parts, run_id).state == "running")
        with parts.database.write() as session:
            job = Jobs(session).find(session.get_one(RunRow, run_id).job_id)
            assert job is not None
            job.stall_after_s = 600.0
        time.sleep(2.4)
        Path(parts.post.drain_flag).touch()

    threading.Thread(target=be_patient_and_leave).start()
    impatient = replace(parts, post=replace(parts.post, timers=replace(parts.post.timers, stall=2.0)))
    hung = replace(impatient, post=replace(impatient.post, trainer="tests.worker.kill.silent_trainer"))
    run_waiting_jobs(hung, JobKind.TRAIN)

    assert [row.outcome for row in _attempts(parts, run_id)] == ["yielded"]


@on_one_database
def test_j07_a_job_that_gets_further_each_time_goes_on(parts: WorkerContext) -> None:
    run_id = _run(parts, "crashes after each epoch", epochs=4)

    run_waiting_jobs(parts, JobKind.TRAIN)

    assert _view(parts, run_id).status == "succeeded"
    assert [row.outcome for row in _attempts(parts, run_id)] == ["crashed"] * 4 + ["done"]
    assert _trace(parts, run_id) == [f"{epoch}.{step}" for epoch in range(4) for step in range(4)]


def test_j04_a_run_that_is_killed_at_every_place_ends_as_if_nothing_had_happened(parts: WorkerContext) -> None:
    run_id = _run(parts, "dies everywhere", epochs=4)

    run_waiting_jobs(parts, JobKind.TRAIN)

    assert _view(parts, run_id).status == "succeeded"
    assert [row.outcome for row in _attempts(parts, run_id)] == ["crashed"] * len(Deaths.PLACES) + ["done"]
    with parts.database.read() as session:
        assert [row.epoch for row in RunRepository(session).epochs(run_id)] == [0, 1, 2, 3]
    assert sorted(set(_trace(parts, run_id))) == [f"{epoch}.{step}" for epoch in range(4) for step in range(4)]


RESTARTS = 20


@on_one_database
def test_j22_restart_after_restart_repeats_no_step_and_counts_nothing_against_the_run(parts: WorkerContext) -> None:
    run_id, flag = _run(parts, "patient", epochs=RESTARTS), Path(parts.post.drain_flag)
    parts = replace(parts, post=replace(parts.post, timers=replace(parts.post.timers, kill_grace=20, flags=0.02)))
    for _restart in range(RESTARTS):
        leaver = threading.Thread(target=_leave_after_a_step, args=(parts, run_id))
        leaver.start()
        run_waiting_jobs(parts, JobKind.TRAIN)
        leaver.join()
        flag.unlink()
    run_waiting_jobs(parts, JobKind.TRAIN)

    assert _view(parts, run_id).status == "succeeded"
    outcomes = [row.outcome for row in _attempts(parts, run_id)]
    assert outcomes == ["yielded"] * RESTARTS + ["done"]
    assert _trace(parts, run_id) == [f"{epoch}.{step}" for epoch in range(RESTARTS) for step in range(4)]


def _leave_after_a_step(parts: WorkerContext, run_id: str) -> None:
    """Have the worker leave once the run has got one step further."""
    before = _steps(parts, run_id)
    _wait_until(lambda: _steps(parts, run_id) > before)
    Path(parts.post.drain_flag).touch()


@on_one_database
def test_j15_a_cancel_ends_a_run_that_is_only_starting(parts: WorkerContext) -> None:
    run_id = _run(parts, "stuck")
    with parts.database.write() as session:
        job_id = session.get_one(RunRow, run_id).job_id

    def cancel() -> None:
        with parts.database.write() as session:
            Ledger(session).cancel(job_id)

    threading.Timer(0.5, cancel).start()
    run_waiting_jobs(
        replace(parts, post=replace(parts.post, timers=replace(parts.post.timers, kill_grace=1))), JobKind.TRAIN
    )

    assert _view(parts, run_id).status == "cancelled"


def test_j18_a_paused_run_goes_on_at_the_same_step(parts: WorkerContext) -> None:
    run_id = _run(parts, epochs=6)
    _ask(parts, run_id, "pause", after_steps=6)

    run_waiting_jobs(parts, JobKind.TRAIN)
    paused = _view(parts, run_id).status
    done_before = len(_trace(parts, run_id))
    _ask(parts, run_id, "resume", after_steps=0)
    run_waiting_jobs(parts, JobKind.TRAIN)

    assert paused == "paused"
    assert 0 < done_before < 24
    assert _view(parts, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("paused", 10), ("done", 0)]
    assert _trace(parts, run_id) == [f"{epoch}.{step}" for epoch in range(6) for step in range(4)]


@on_one_database
def test_a_run_stops_after_its_epoch_and_has_succeeded(parts: WorkerContext) -> None:
    run_id = _run(parts, epochs=500)
    _ask(parts, run_id, "finish", after_steps=6)

    run_waiting_jobs(parts, JobKind.TRAIN)

    assert _view(parts, run_id).status == "succeeded"
    assert _trace(parts, run_id)[-1].endswith(".3")
    assert [row.outcome for row in _attempts(parts, run_id)] == ["done"]


@on_one_database
def test_g14_a_full_disk_pauses_the_run_and_it_goes_on_once_there_is_room(parts: WorkerContext) -> None:
    run_id = _run(parts, "full")
    full = parts.settings.data / "full"
    full.touch()

    run_waiting_jobs(parts, JobKind.TRAIN)
    paused = _view(parts, run_id)
    full.unlink()
    Sweeper(parts.database, parts.doorbell, free_bytes=parts.storage.free_bytes).sweep()
    run_waiting_jobs(parts, JobKind.TRAIN)

    assert paused.failure is not None
    assert (paused.status, paused.failure.code) == ("paused", "disk-full")
    assert _view(parts, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("paused", 50), ("done", 0)]
    assert _trace(parts, run_id) == [f"{epoch}.{step}" for epoch in range(2) for step in range(4)]


@on_one_database
def test_g14_a_ledger_on_a_full_disk_holds_the_run_still_until_there_is_room(
    parts: WorkerContext, database: Database
) -> None:
    run_id, flag = _run(parts, epochs=6), parts.settings.data / "full-ledger"
    full = Database(database.url)
    fill_up(full, flag)
    counted: list[int] = []

    def be_full_for_a_while() -> None:
        _wait_until(lambda: _steps(parts, run_id) > 4)
        flag.touch()
        time.sleep(1.5)
        for _moment in range(2):
            counted.append(_steps(parts, run_id))
            time.sleep(0.7)
        flag.unlink()

    threading.Thread(target=be_full_for_a_while).start()
    run_waiting_jobs(replace(parts, database=full), JobKind.TRAIN)
    full.dispose()

    # It could count on no lease, and went no further than the end of its epoch.
    assert counted[0] == counted[1] < 6 * 4
    assert _view(parts, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("done", 0)]
    assert _trace(parts, run_id) == [f"{epoch}.{step}" for epoch in range(6) for step in range(4)]


@on_one_database
def test_g14_a_sweep_and_a_claim_on_a_full_disk_wait_for_another_time(parts: WorkerContext, database: Database) -> None:
    run_id, flag = _run(parts, epochs=1), parts.settings.data / "full-ledger"
    full = Database(database.url)
    fill_up(full, flag)
    flag.touch()

    swept = Sweeper(full, parts.doorbell, free_bytes=parts.storage.free_bytes).sweep()
    done = run_waiting_jobs(replace(parts, database=full), JobKind.TRAIN)
    flag.unlink()
    run_waiting_jobs(replace(parts, database=full), JobKind.TRAIN)
    full.dispose()

    assert (swept.startup_grace, done) == (True, 0)
    assert _view(parts, run_id).status == "succeeded"


@on_one_database
def test_j27_a_card_that_fails_twice_rests_and_the_worker_says_so(parts: WorkerContext) -> None:
    run_id = _run(parts, "card")
    with parts.database.write() as session:
        Ledger(session).heartbeat(parts.post.worker(JobKind.TRAIN), [JobKind.TRAIN], None, "1.0")

    run_waiting_jobs(parts, JobKind.TRAIN)

    assert [(row.outcome, row.exit_code) for row in _attempts(parts, run_id)] == [("device-failed", 40)] * 2
    assert _job(parts, run_id).no_progress == 0
    view = _view(parts, run_id)
    assert (view.status, view.waits_for and view.waits_for.code) == ("queued", "device-resting")


def test_j15_a_cancel_stops_it_within_seconds(parts: WorkerContext) -> None:
    run_id = _run(parts, epochs=500)

    def cancel() -> None:
        with parts.database.write() as session:
            Ledger(session).cancel(session.get_one(RunRow, run_id).job_id)

    _after_steps(parts, run_id, 4, cancel)
    run_waiting_jobs(parts, JobKind.TRAIN)

    assert _view(parts, run_id).status == "cancelled"
    assert [row.outcome for row in _attempts(parts, run_id)] == ["cancelled"]
    assert not (parts.storage.root / "states" / run_id).exists()


@on_one_database
def test_j11_who_was_overtaken_is_killed(parts: WorkerContext) -> None:
    run_id = _run(parts, epochs=500)

    def overtake() -> None:
        with parts.database.write() as session:
            job_id = session.get_one(RunRow, run_id).job_id
            job = Jobs(session).find(job_id)
            assert job is not None
            job.attempt = 7

    _after_steps(parts, run_id, 4, overtake)
    threading.Timer(8, Path(parts.post.drain_flag).touch).start()  # had it not been killed, it would only leave
    run_waiting_jobs(parts, JobKind.TRAIN)

    assert [(row.number, row.exit_code) for row in _attempts(parts, run_id)] == [(1, -9)]


@on_one_database
def test_j12_without_a_lease_it_holds_still_and_then_goes_on(parts: WorkerContext, database: Database) -> None:
    run_id = _run(parts, epochs=16)
    flaky = Flaky(database)
    timers = replace(parts.post.timers, suspend=0.8)
    alone = replace(parts, database=flaky, post=replace(parts.post, timers=timers))
    counted: list[int] = []

    def be_away_for_a_while() -> None:
        _wait_until(lambda: _steps(parts, run_id) > 0)
        flaky.go_away()
        time.sleep(1.5)  # a heartbeat, the time until it holds still, and some
        for _moment in range(2):
            counted.append(_steps(parts, run_id))
            time.sleep(0.7)
        flaky.come_back()

    threading.Thread(target=be_away_for_a_while).start()
    run_waiting_jobs(alone, JobKind.TRAIN)

    assert counted[0] == counted[1] < 16 * 4
    assert _view(parts, run_id).status == "succeeded"
    assert len(_attempts(parts, run_id)) == 1


def test_an_import_is_done_by_a_process_of_its_own(parts: WorkerContext) -> None:
    dataset_id, import_id = _import(parts)

    run_waiting_jobs(parts, JobKind.IMPORT)

    with parts.database.read() as session:
        row = session.get_one(ImportRow, import_id)
        job = Jobs(session).find(row.job_id)
        dataset = session.get_one(DatasetRow, dataset_id)
        assert job is not None
        assert (job.state, row.added, dataset.images) == ("succeeded", 6, 6)


def _import(parts: WorkerContext) -> tuple[str, str]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in folder_of_shapes(2).items():
            archive.writestr(path, content)
    with parts.database.write() as session:
        dataset = DatasetRow(id=new_id(), name="Shapes")
        session.add(dataset)
    import_id = take_archive(
        lambda: unit_of_work(parts.database, NoDoorbell()), parts.storage, dataset.id, iter((file.getvalue(),))
    )
    return dataset.id, import_id


class Flaky(Database):
    """A database that can be made to be away, for us and not for our children."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self._is_away = False

    def go_away(self) -> None:
        """From now on nothing reaches it."""
        self._is_away = True

    def come_back(self) -> None:
        """As before."""
        self._is_away = False

    @contextmanager
    def read(self) -> Iterator[ReadSession]:
        """As the real one, unless it is away."""
        self._check()
        with self._real.read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """As the real one, unless it is away."""
        self._check()
        with self._real.write() as session:
            yield session

    def _check(self) -> None:
        if self._is_away:
            raise OperationalError("BEGIN", {}, ConnectionError("away"))
