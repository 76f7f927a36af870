"""A run ends or rests because its owner, or a full disk, wants it so."""

import threading
import time
from dataclasses import replace

from backend.db.session import Database
from backend.ledger.job import JobKind
from backend.ledger.repository import Ledger
from backend.ledger.sweep import Sweeper
from backend.tables.training import RunRow
from tests.fixtures.full_disk import fill_up
from tests.worker.supervising import (
    after_steps_do,
    ask,
    attempts,
    on_one_database,
    ordered_run,
    steps,
    trace,
    view_of,
    wait_until,
    with_timers,
)
from worker.identity import WorkerContext
from worker.supervisor import run_waiting_jobs


@on_one_database
def test_j15_a_cancel_ends_a_run_that_is_only_starting(context: WorkerContext) -> None:
    run_id = ordered_run(context, "stuck")
    with context.database.write() as session:
        job_id = session.get_one(RunRow, run_id).job_id

    def cancel() -> None:
        with context.database.write() as session:
            Ledger(session).cancel(job_id)

    threading.Timer(0.5, cancel).start()
    run_waiting_jobs(
        with_timers(context, kill_grace=1),
        JobKind.TRAIN,
    )

    assert view_of(context, run_id).status == "cancelled"


def test_j18_a_paused_run_continues_at_the_same_step(context: WorkerContext) -> None:
    run_id = ordered_run(context, epochs=6)
    ask(context, run_id, "pause", after_steps=6)

    run_waiting_jobs(context, JobKind.TRAIN)
    paused = view_of(context, run_id).status
    done_before = len(trace(context, run_id))
    ask(context, run_id, "resume", after_steps=0)
    run_waiting_jobs(context, JobKind.TRAIN)

    assert paused == "paused"
    assert 0 < done_before < 24
    assert view_of(context, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("paused", 10), ("done", 0)]
    assert trace(context, run_id) == [f"{epoch}.{step}" for epoch in range(6) for step in range(4)]


@on_one_database
def test_a_run_stops_after_its_epoch_and_has_succeeded(context: WorkerContext) -> None:
    run_id = ordered_run(context, epochs=500)
    ask(context, run_id, "finish", after_steps=6)

    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "succeeded"
    assert trace(context, run_id)[-1].endswith(".3")
    assert [row.outcome for row in attempts(context, run_id)] == ["done"]


@on_one_database
def test_g14_a_full_disk_pauses_the_run_and_it_continues_once_there_is_room(context: WorkerContext) -> None:
    run_id = ordered_run(context, "full")
    full = context.settings.data / "full"
    full.touch()

    run_waiting_jobs(context, JobKind.TRAIN)
    paused = view_of(context, run_id)
    full.unlink()
    Sweeper(context.database, context.notifier, free_bytes=context.storage.free_bytes).sweep()
    run_waiting_jobs(context, JobKind.TRAIN)

    assert paused.failure is not None
    assert (paused.status, paused.failure.code) == ("paused", "disk-full")
    assert view_of(context, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("paused", 50), ("done", 0)]
    assert trace(context, run_id) == [f"{epoch}.{step}" for epoch in range(2) for step in range(4)]


@on_one_database
def test_g14_a_ledger_on_a_full_disk_holds_the_run_still_until_there_is_room(
    context: WorkerContext, database: Database
) -> None:
    run_id, flag = ordered_run(context, epochs=6), context.settings.data / "full-ledger"
    full = Database(database.url)
    fill_up(full, flag)
    counted: list[int] = []

    def be_full_for_a_while() -> None:
        wait_until(lambda: steps(context, run_id) > 4)
        flag.touch()
        time.sleep(1.5)
        for _moment in range(2):
            counted.append(steps(context, run_id))
            time.sleep(0.7)
        flag.unlink()

    threading.Thread(target=be_full_for_a_while).start()
    run_waiting_jobs(replace(context, database=full), JobKind.TRAIN)
    full.dispose()

    # It could count on no lease, and went no further than the end of its epoch.
    assert counted[0] == counted[1] < 6 * 4
    assert view_of(context, run_id).status == "succeeded"
    assert [(row.outcome, row.exit_code) for row in attempts(context, run_id)] == [("done", 0)]
    assert trace(context, run_id) == [f"{epoch}.{step}" for epoch in range(6) for step in range(4)]


@on_one_database
def test_g14_a_sweep_and_a_claim_on_a_full_disk_wait_for_another_time(
    context: WorkerContext, database: Database
) -> None:
    run_id, flag = ordered_run(context, epochs=1), context.settings.data / "full-ledger"
    full = Database(database.url)
    fill_up(full, flag)
    flag.touch()

    swept = Sweeper(full, context.notifier, free_bytes=context.storage.free_bytes).sweep()
    done = run_waiting_jobs(replace(context, database=full), JobKind.TRAIN)
    flag.unlink()
    run_waiting_jobs(replace(context, database=full), JobKind.TRAIN)
    full.dispose()

    assert (swept.startup_grace, done) == (True, 0)
    assert view_of(context, run_id).status == "succeeded"


def test_j15_a_cancel_stops_it_within_seconds(context: WorkerContext) -> None:
    run_id = ordered_run(context, epochs=500)

    def cancel() -> None:
        with context.database.write() as session:
            Ledger(session).cancel(session.get_one(RunRow, run_id).job_id)

    after_steps_do(context, run_id, 4, cancel)
    run_waiting_jobs(context, JobKind.TRAIN)

    assert view_of(context, run_id).status == "cancelled"
    assert [row.outcome for row in attempts(context, run_id)] == ["cancelled"]
    assert not (context.storage.root / "states" / run_id).exists()
