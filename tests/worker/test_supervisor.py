"""Real child processes, one supervisor: the test itself."""

import io
import itertools
import shutil
import sqlite3
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from backend.datasets.imports import take_archive
from backend.db.session import Database, ReadSession, WriteSession
from backend.domain.ids import new_id
from backend.ledger.job import JobKind
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.tables.datasets import DatasetRow, ImportRow
from backend.tables.training import RunRow
from backend.training.repository import RunRepository
from tests.conftest import CollectingNotifier
from tests.fixtures.nightly import rounds
from tests.fixtures.pictures import folder_of_shapes
from tests.worker.kill.steady_trainer import Deaths
from tests.worker.supervising import (
    after_steps_do,
    attempts,
    job_of,
    on_one_database,
    ordered_run,
    steps,
    trace,
    view_of,
    wait_until,
    with_timers,
)
from worker.identity import WorkerContext
from worker.supervisor import Supervision, run_waiting_jobs


def test_it_does_what_waits_and_then_returns(context: WorkerContext) -> None:
    first, second = ordered_run(context), ordered_run(context, epochs=1)

    done = run_waiting_jobs(context, JobKind.TRAIN)

    assert done == 2
    assert (view_of(context, first).status, view_of(context, second).status) == ("succeeded", "succeeded")
    (attempt,) = attempts(context, first)
    assert (attempt.outcome, attempt.exit_code, attempt.device) == ("done", 0, "cpu:worker-1")
    assert attempt.pid is not None


def test_it_returns_at_once_where_nothing_waits(context: WorkerContext) -> None:
    assert run_waiting_jobs(context, JobKind.TRAIN) == 0


def test_looking_at_pictures_makes_way_for_a_training(context: WorkerContext) -> None:
    context = replace(
        context,
        identity=replace(context.identity, examiner="tests.worker.kill.patient_examiner"),
        settings=context.settings.model_copy(update={"examine": True}),
    )
    with unit_of_work(context.database, NoNotifier()) as unit:
        looking = unit.enqueue(JobKind.EXAMINE, new_id())
    ordered = list[str]()

    def order() -> None:
        wait_until(lambda: _state(context, looking) == "running")
        ordered.append(ordered_run(context, epochs=1))

    threading.Thread(target=order).start()

    assert run_waiting_jobs(context, JobKind.TRAIN) == 3
    assert view_of(context, ordered[0]).status == "succeeded"
    assert _state(context, looking) == "succeeded"
    with context.database.read() as session:
        assert [one.outcome for one in Jobs(session).attempts(looking)] == ["yielded", "done"]


def test_no_pictures_are_looked_at_where_that_is_switched_off(context: WorkerContext) -> None:
    with unit_of_work(context.database, NoNotifier()) as unit:
        looking = unit.enqueue(JobKind.EXAMINE, new_id())
    context = replace(context, settings=context.settings.model_copy(update={"examine": False}))

    assert run_waiting_jobs(context, JobKind.TRAIN) == 0
    assert _state(context, looking) == "queued"


def test_heat_maps_make_way_for_a_measurement_that_somebody_waits_for(context: WorkerContext) -> None:
    context = replace(
        context,
        identity=replace(context.identity, checkpoint_worker="tests.worker.kill.patient_examiner"),
        settings=context.settings.model_copy(update={"heatmaps_ahead": True}),
    )
    with unit_of_work(context.database, NoNotifier()) as unit:
        heatmaps = unit.enqueue(JobKind.HEATMAPS, new_id())
    asked = list[str]()

    def ask() -> None:
        wait_until(lambda: _state(context, heatmaps) == "running")
        with unit_of_work(context.database, NoNotifier()) as unit:
            asked.append(unit.enqueue(JobKind.FLIPS, new_id()))
        wait_until(lambda: _state(context, asked[0]) == "running")
        asked.append(ordered_run(context, epochs=1))

    threading.Thread(target=ask).start()

    # The training, and both others twice.
    assert run_waiting_jobs(context, JobKind.TRAIN) == 5
    assert view_of(context, asked[1]).status == "succeeded"
    with context.database.read() as session:
        for job_id in (heatmaps, asked[0]):
            assert [one.outcome for one in Jobs(session).attempts(job_id)] == ["yielded", "done"]


def test_heat_maps_wait_while_pictures_are_imported(context: WorkerContext) -> None:
    context = replace(
        context,
        identity=replace(context.identity, checkpoint_worker="tests.worker.kill.patient_examiner"),
        settings=context.settings.model_copy(update={"heatmaps_ahead": True}),
    )
    with unit_of_work(context.database, NoNotifier()) as unit:
        heatmaps, coming = unit.enqueue(JobKind.HEATMAPS, new_id()), unit.enqueue(JobKind.IMPORT, new_id())

    assert run_waiting_jobs(context, JobKind.TRAIN) == 0
    with context.database.write() as session:
        Ledger(session).cancel(coming)
        assert Jobs(session).has_waiting(JobKind.HEATMAPS, 0.0)
    assert _state(context, heatmaps) == "queued"


def test_no_heat_maps_are_made_ahead_where_that_is_switched_off(context: WorkerContext) -> None:
    with unit_of_work(context.database, NoNotifier()) as unit:
        heatmaps = unit.enqueue(JobKind.HEATMAPS, new_id())

    assert run_waiting_jobs(context, JobKind.TRAIN) == 0
    assert _state(context, heatmaps) == "queued"


def _state(context: WorkerContext, job_id: str) -> str:
    with context.database.read() as session:
        job = Jobs(session).find(job_id)
        assert job is not None
        return job.state


def test_it_begins_nothing_while_the_worker_leaves(context: WorkerContext) -> None:
    run_id = ordered_run(context)
    Path(context.identity.drain_flag).touch()

    assert run_waiting_jobs(context, JobKind.TRAIN) == 0
    assert view_of(context, run_id).status == "queued"


def test_j21_a_leaving_worker_gives_its_job_back_and_notifies(
    context: WorkerContext, notifier: CollectingNotifier
) -> None:
    run_id = ordered_run(context, epochs=500)
    context = replace(
        context, identity=replace(context.identity, timers=replace(context.identity.timers, kill_grace=20))
    )
    threading.Thread(target=_leave_after_a_step, args=(context, run_id)).start()

    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "queued"
    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("yielded", 12)]
    assert notifier.notifications == [JobKind.TRAIN]


@on_one_database
def test_j21_a_process_that_is_stopped_before_it_handles_signals_counts_nothing_either(
    context: WorkerContext,
) -> None:
    run_id = ordered_run(context)
    threading.Timer(0.5, Path(context.identity.drain_flag).touch).start()

    run_waiting_jobs(
        replace(context, identity=replace(context.identity, trainer="tests.worker.kill.slow_starter")), JobKind.TRAIN
    )

    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("yielded", -15)]
    job = job_of(context, run_id)
    assert (job.state, job.no_progress) == ("queued", 0)


def test_j06_a_job_whose_process_dies_each_time_fails_after_three(context: WorkerContext) -> None:
    run_id = ordered_run(context, "crashes")

    run_waiting_jobs(context, JobKind.TRAIN)

    view = view_of(context, run_id)
    assert view.failure is not None
    assert (view.status, view.failure.code) == ("failed", "worker-killed")
    assert [row.outcome for row in attempts(context, run_id)] == ["crashed", "crashed", "crashed"]


@on_one_database
def test_a_process_that_cannot_even_start_is_a_crash_with_its_reason_in_the_log(context: WorkerContext) -> None:
    run_id = ordered_run(context)
    broken = replace(context, identity=replace(context.identity, trainer="tests.worker.no_such_trainer"))

    run_waiting_jobs(broken, JobKind.TRAIN)

    view = view_of(context, run_id)
    assert view.failure is not None
    assert view.failure.code == "worker-crashed"
    logs = sorted((context.settings.data / "logs" / "jobs").iterdir())
    assert len(logs) == 3
    assert "no_such_trainer" in logs[0].read_text()


@on_one_database
def test_j24_a_stuck_process_is_ended_with_its_stack_in_the_log(context: WorkerContext) -> None:
    run_id = ordered_run(context, "stuck")
    impatient = replace(
        context, identity=replace(context.identity, timers=replace(context.identity.timers, stall=3, tries=1))
    )

    run_waiting_jobs(impatient, JobKind.TRAIN)

    view = view_of(context, run_id)
    assert view.failure is not None
    assert view.failure.code == "stalled"
    (log,) = (context.settings.data / "logs" / "jobs").iterdir()
    assert "steady_trainer.py" in log.read_text()


@on_one_database
def test_j24_a_wedged_training_that_still_beats_is_found_and_continues(context: WorkerContext) -> None:
    run_id = ordered_run(context, "wedged")
    impatient = with_timers(context, stall=3)

    run_waiting_jobs(impatient, JobKind.TRAIN)

    assert view_of(context, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("crashed", -9), ("done", 0)]
    log = sorted((context.settings.data / "logs" / "jobs").iterdir())[0].read_text()
    assert "_misbehave_at_step" in log
    assert trace(context, run_id) == [f"{epoch}.{step}" for epoch, step in ((0, 0), (0, 1), (0, 2), (0, 3))] + [
        f"1.{step}" for step in (0, 1, 0, 1, 2, 3)
    ]


@on_one_database
def test_a_slow_training_is_given_the_time_that_its_steps_take(context: WorkerContext) -> None:
    run_id = ordered_run(context, epochs=40)

    def be_patient_and_leave() -> None:
        wait_until(lambda: job_of(context, run_id).state == "running")
        with context.database.write() as session:
            job = Jobs(session).find(session.get_one(RunRow, run_id).job_id)
            assert job is not None
            job.stall_after_s = 600.0
        time.sleep(2.4)
        Path(context.identity.drain_flag).touch()

    threading.Thread(target=be_patient_and_leave).start()
    impatient = with_timers(context, stall=2.0)
    hung = replace(impatient, identity=replace(impatient.identity, trainer="tests.worker.kill.silent_trainer"))
    run_waiting_jobs(hung, JobKind.TRAIN)

    assert [row.outcome for row in attempts(context, run_id)] == ["yielded"]


@on_one_database
def test_j07_a_job_that_gets_further_each_time_continues(context: WorkerContext) -> None:
    run_id = ordered_run(context, "crashes after each epoch", epochs=4)

    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "succeeded"
    assert [row.outcome for row in attempts(context, run_id)] == ["crashed"] * 4 + ["done"]
    assert trace(context, run_id) == [f"{epoch}.{step}" for epoch in range(4) for step in range(4)]


def test_j04_a_run_that_is_killed_at_every_place_ends_as_if_nothing_had_happened(context: WorkerContext) -> None:
    run_id = ordered_run(context, "dies everywhere", epochs=4)

    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "succeeded"
    assert [row.outcome for row in attempts(context, run_id)] == ["crashed"] * len(Deaths.PLACES) + ["done"]
    with context.database.read() as session:
        assert [row.epoch for row in RunRepository(session).epochs(run_id)] == [0, 1, 2, 3]
    assert sorted(set(trace(context, run_id))) == [f"{epoch}.{step}" for epoch in range(4) for step in range(4)]


RESTARTS = rounds(6, 20)


@on_one_database
def test_j22_restart_after_restart_repeats_no_step_and_counts_nothing_against_the_run(context: WorkerContext) -> None:
    run_id, flag = ordered_run(context, "patient", epochs=RESTARTS), Path(context.identity.drain_flag)
    context = replace(
        context, identity=replace(context.identity, timers=replace(context.identity.timers, kill_grace=20, flags=0.02))
    )
    for _restart in range(RESTARTS):
        leaver = threading.Thread(target=_leave_after_a_step, args=(context, run_id))
        leaver.start()
        run_waiting_jobs(context, JobKind.TRAIN)
        leaver.join()
        flag.unlink()
    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "succeeded"
    outcomes = [row.outcome for row in attempts(context, run_id)]
    assert outcomes == ["yielded"] * RESTARTS + ["done"]
    assert trace(context, run_id) == [f"{epoch}.{step}" for epoch in range(RESTARTS) for step in range(4)]


def _leave_after_a_step(context: WorkerContext, run_id: str) -> None:
    """Have the worker leave once the run has got one step further."""
    before = steps(context, run_id)
    wait_until(lambda: steps(context, run_id) > before)
    Path(context.identity.drain_flag).touch()


@on_one_database
def test_j27_a_card_that_fails_twice_rests_and_the_worker_reports_it(context: WorkerContext) -> None:
    run_id = ordered_run(context, "card")
    with context.database.write() as session:
        Ledger(session).heartbeat(context.identity.worker(JobKind.TRAIN), [JobKind.TRAIN], None, "1.0")

    run_waiting_jobs(context, JobKind.TRAIN)

    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("device-failed", 40)] * 2
    assert job_of(context, run_id).no_progress == 0
    view = view_of(context, run_id)
    assert (view.status, view.waits_for and view.waits_for.code) == ("queued", "device-resting")


@on_one_database
def test_j11_who_was_overtaken_is_killed(context: WorkerContext) -> None:
    run_id = ordered_run(context, epochs=500)

    def overtake() -> None:
        with context.database.write() as session:
            job_id = session.get_one(RunRow, run_id).job_id
            job = Jobs(session).find(job_id)
            assert job is not None
            job.attempt = 7

    after_steps_do(context, run_id, 4, overtake)
    threading.Timer(8, Path(context.identity.drain_flag).touch).start()  # had it not been killed, it would only leave
    run_waiting_jobs(context, JobKind.TRAIN)

    assert [(row.number, row.exit_code) for row in attempts(context, run_id)] == [(1, -9)]


@on_one_database
def test_j12_without_a_lease_it_is_suspended_and_then_continues(context: WorkerContext, database: Database) -> None:
    run_id = ordered_run(context, epochs=16)
    alone, flaky = _soon_suspending(context, database)
    counted: list[int] = []

    def be_away_for_a_while() -> None:
        wait_until(lambda: steps(context, run_id) > 0)
        flaky.go_away()
        time.sleep(1.5)  # a heartbeat, the time until it is suspended, and some
        for _moment in range(2):
            counted.append(steps(context, run_id))
            time.sleep(0.7)
        flaky.come_back()

    threading.Thread(target=be_away_for_a_while).start()
    run_waiting_jobs(alone, JobKind.TRAIN)

    assert counted[0] == counted[1] < 16 * 4
    assert view_of(context, run_id).status == "succeeded"
    assert len(attempts(context, run_id)) == 1


@on_one_database
def test_j12_a_process_that_was_suspended_in_the_middle_of_a_write_may_finish_it(
    context: WorkerContext, database: Database
) -> None:
    run_id = ordered_run(context, epochs=16)
    alone, flaky = _soon_suspending(context, database)
    counted: list[int] = []

    def be_locked_until_it_goes_on() -> None:
        wait_until(lambda: steps(context, run_id) > 0)
        locked = sqlite3.OperationalError("database is locked")
        locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
        flaky.go_away(locked)
        time.sleep(1.5)  # a heartbeat, the time until it is suspended, and some
        counted.append(steps(context, run_id))
        wait_until(lambda: steps(context, run_id) > counted[0])
        counted.append(steps(context, run_id))
        flaky.come_back()

    threading.Thread(target=be_locked_until_it_goes_on).start()
    run_waiting_jobs(alone, JobKind.TRAIN)

    assert counted[0] < counted[1] < 16 * 4
    assert view_of(context, run_id).status == "succeeded"
    assert len(attempts(context, run_id)) == 1


def test_an_import_is_done_by_a_process_of_its_own(context: WorkerContext) -> None:
    dataset_id, import_id = _import(context)

    run_waiting_jobs(context, JobKind.IMPORT)

    with context.database.read() as session:
        row = session.get_one(ImportRow, import_id)
        job = Jobs(session).find(row.job_id)
        dataset = session.get_one(DatasetRow, dataset_id)
        assert job is not None
        assert (job.state, row.added, dataset.images) == ("succeeded", 6, 6)


def _import(context: WorkerContext) -> tuple[str, str]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in folder_of_shapes(2).items():
            archive.writestr(path, content)
    with context.database.write() as session:
        dataset = DatasetRow(id=new_id(), name="Shapes")
        session.add(dataset)
    import_id = take_archive(
        lambda: unit_of_work(context.database, NoNotifier()), context.storage, dataset.id, iter((file.getvalue(),))
    )
    return dataset.id, import_id


def _soon_suspending(context: WorkerContext, database: Database) -> tuple[WorkerContext, "Flaky"]:
    """A worker that suspends its process after 0.8 s without a lease, and its database, which can be away."""
    flaky = Flaky(database)
    timers = replace(context.identity.timers, suspend=0.8)
    return replace(context, database=flaky, identity=replace(context.identity, timers=timers)), flaky


class Flaky(Database):
    """A database that can be made to be away, for us and not for our children."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self._error: Exception | None = None

    def go_away(self, error: Exception | None = None) -> None:
        """From now on nothing reaches it."""
        self._error = error or ConnectionError("away")

    def come_back(self) -> None:
        """As before."""
        self._error = None

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
        if self._error is not None:
            raise OperationalError("BEGIN", {}, self._error)


def test_a_run_that_is_killed_while_memory_runs_out_reports_it(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ordered_run(context, "crashes")
    kills = itertools.count()
    monkeypatch.setattr("worker.supervisor.out_of_memory_kills", lambda: next(kills))

    run_waiting_jobs(context, JobKind.TRAIN)

    view = view_of(context, run_id)
    assert view.failure is not None
    assert view.failure.code == "machine-out-of-memory"


@on_one_database
def test_a_supervision_that_fails_leaves_no_process_behind_and_closes_its_attempt(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ordered_run(context, epochs=500)

    def fail(_supervision: Supervision) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(Supervision, "_look", fail)

    with pytest.raises(ValueError, match="a fault of ours"):
        run_waiting_jobs(context, JobKind.TRAIN)

    (attempt,) = attempts(context, run_id)
    assert (attempt.outcome, attempt.exit_code) == ("crashed", -9)
    assert attempt.pid is not None
    assert not Path(f"/proc/{attempt.pid}").exists()
    assert job_of(context, run_id).state == "queued"


@on_one_database
def test_a_log_that_is_removed_meanwhile_does_not_disturb_the_run(context: WorkerContext) -> None:
    run_id = ordered_run(context, epochs=4)
    logs = context.settings.data / "logs"
    after_steps_do(context, run_id, 2, lambda: shutil.rmtree(logs))

    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "succeeded"
    assert [row.outcome for row in attempts(context, run_id)] == ["done"]


@on_one_database
def test_a_log_folder_that_can_not_be_made_is_a_crash_that_is_tried_again(context: WorkerContext) -> None:
    run_id = ordered_run(context)
    (context.settings.data / "logs").write_bytes(b"a file where the folder should be")

    run_waiting_jobs(context, JobKind.TRAIN)

    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("crashed", 60)] * 3
    assert view_of(context, run_id).status == "failed"
