"""One attempt at a training: its order from the ledger, its folders, the engine, the record.

Every attempt works in a folder of its own, so that one that was given up and still
writes can't touch another's files.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from backend.datasets.manifests import manifest
from backend.db.session import Database, ReadSession
from backend.domain.ids import VersionId
from backend.domain.manifest import Manifest
from backend.domain.training import TrainingConfig
from backend.ledger.job import Claim
from backend.ledger.queries import Jobs
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.tables.training import RunRow
from backend.training import record as progress
from backend.training.attempts import attempt_of, planned_work, saved_states
from backend.training.find import folder_to_start_from
from backend.training.forecast.eta import Standing, usual_timetable
from backend.training.forecast.follower import RunFollower
from backend.training.forecast.work import Counts
from worker import exits
from worker.engine.order import BESIDE_STATES, StatePoint, Stopped, StopSignal, TrainingOrder
from worker.hardware import machine
from worker.jobs.find_rate_job import find_job
from worker.jobs.recording import read_with_retry, recording, write_with_retry
from worker.jobs.train_recorder import TrainRecorder
from worker.processors import QuietClock

if TYPE_CHECKING:  # it imports torch
    from worker.engine.parallel.ranks import Ranks

log = structlog.get_logger()

_ATTEMPT: Final = "attempt-"


def train_job(settings: Settings, job_id: str, attempt: int, stop: StopSignal, ranks: "Ranks | None" = None) -> int:
    """Do the training, or the search for a rate, that an attempt holds; the exit code.

    ``ranks`` are the processes that wait for its order and do the training with this one; None is none.
    """
    database, storage = Database(settings.sql_url), LocalStorage(settings.storage_folder)
    try:
        held = read_with_retry(database, lambda session: attempt_of(session, job_id, attempt), stop)
    except Stopped:
        return exits.YIELDED
    if held is None:
        return exits.LOST
    if held.find is not None:
        return find_job(settings, database, storage, held.claim, held.find, stop)
    claim, run = held.claim, held.run
    assert run is not None, "an attempt holds a run or a search"
    config = TrainingConfig.model_validate(run.config)
    try:
        follower = _follower(database, run, config, stop, goes_on=attempt > 1)
    except Stopped:
        return exits.YIELDED
    name = machine(settings.device)
    # What several devices do is no measure of one.
    measured_as = name if ranks is None else None
    recorder = TrainRecorder(
        database,
        storage,
        claim,
        config,
        stop,
        follower=follower,
        machine=measured_as,
        heatmaps_ahead=settings.heatmaps_ahead,
    )
    with recording(recorder) as code, recorder.showing_silence():
        write_with_retry(database, lambda session: progress.begin(session, claim), stop)
        order = make_order(database, storage, settings, claim, run, stop)
        kills = read_with_retry(database, lambda session: Jobs(session).kills_in_a_row(job_id), stop)
        if kills:
            log.warning("fewer_loader_processes", killed_before=kills)
            order = replace(order, max_loader_processes=loader_processes_after(kills))
        recorder.output_folder = order.output_folder
        # Here: seconds of importing torch, in which the run is under way already.
        from worker.engine.parallel.ranks import ALONE
        from worker.engine.recipe import train

        ranks = ranks or ALONE
        order = replace(order, max_loader_processes=order.max_loader_processes // ranks.size)
        train(ranks.from_first(lambda: order), on_event=recorder, stop=stop, ranks=ranks)
    return code.value


def loader_processes_after(kills: int) -> int:
    """How many processes may prepare images once the system has ended so many attempts, most likely for memory."""
    return 1 if kills == 1 else 0


def _follower(
    database: Database, run: RunRow, config: TrainingConfig, stop: StopSignal, *, goes_on: bool
) -> RunFollower:
    """What follows the training's events, from where earlier attempts got to."""
    plan = read_with_retry(database, lambda session: planned_work(session, run, config), stop)
    return RunFollower(
        config,
        plan.timetable.items if plan.timetable else usual_timetable(config, Counts.of(plan.counts)),
        earlier=Standing(run.stage, run.epoch, run.progress, activity=run.activity),
        finished_stages=plan.finished_stages,
        goes_on=goes_on,
        quiet=QuietClock(),
    )


def make_order(
    database: Database, storage: LocalStorage, settings: Settings, claim: Claim, run: RunRow, stop: StopSignal
) -> TrainingOrder:
    """The engine's order, to continue from where the last attempt got to."""
    states = storage.folder("states", run.id)
    mine = states / f"{_ATTEMPT}{claim.attempt}"
    mine.mkdir(exist_ok=True)

    def ordered(session: ReadSession) -> tuple[Manifest, tuple[StatePoint, ...], Path | None]:
        points = tuple(
            StatePoint(row.stage, row.epoch, row.step, row.file, row.sha256) for row in saved_states(session, run.id)
        )
        learnt_from = manifest(session, VersionId(run.version_id))
        return learnt_from, points, folder_to_start_from(session, storage, run.starts_from)

    learnt_from, points, starts_from = read_with_retry(database, ordered, stop)
    for point in points:
        _bring(states, mine, point.file)
    for kept in {file.name for pattern in BESIDE_STATES for file in states.glob(f"{_ATTEMPT}*/{pattern}")}:
        _bring(states, mine, kept)
    _remove_other_attempts(states, mine)
    return TrainingOrder(
        manifest=learnt_from,
        config=TrainingConfig.model_validate(run.config),
        open_bytes=storage.read_blob,
        output_folder=mine / "stages",
        state_folder=mine,
        weights_folder=settings.weights_folder,
        device=settings.device,
        resume_from=points,
        starts_from=starts_from,
        features_folder=settings.features_folder,
        compiles=settings.compile_networks,
    )


def _bring(states: Path, mine: Path, name: str) -> None:
    """Make a file of a former attempt ours as well; the name holds the hash, so any copy will do."""
    for found in sorted(states.glob(f"{_ATTEMPT}*/{name}")):
        if found.parent == mine:
            return
        try:
            os.link(found, mine / name)
        except OSError:
            shutil.copy2(found, mine / name)
        return


def _remove_other_attempts(states: Path, mine: Path) -> None:
    """Free what former attempts left: their caches and half-written stages."""
    for folder in states.glob(f"{_ATTEMPT}*"):
        if folder != mine:
            shutil.rmtree(folder, ignore_errors=True)
