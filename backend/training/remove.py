"""Delete trainings with all that they left: epochs, events, models, answers, saved states."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.runs import RunNotFound
from backend.ledger.job import JobState
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.training.repository import RunRecord, RunRepository


class RunNotOver(Conflict):
    """A run that hasn't ended can't be deleted."""

    code = "run-not-over"

    def __init__(self, run_id: str, name: str) -> None:
        super().__init__(
            f"“{name}” hasn't ended, so it can't be deleted.",
            advice="Cancel it first, then delete it.",
            details={"run_id": run_id},
        )


class RunNeeded(Conflict):
    """Another run that hasn't ended starts from a model of this one."""

    code = "run-needed"

    def __init__(self, run_id: str, name: str, needed_by: Sequence[str]) -> None:
        names = ", ".join(f"“{one}”" for one in needed_by)
        super().__init__(
            f"“{name}” can't be deleted yet: {names} starts from its model and hasn't ended.",
            advice="Wait until that has ended, or cancel it.",
            details={"run_id": run_id, "needed_by": list(needed_by)},
        )


@dataclass(frozen=True, slots=True)
class Deletion:
    """What deleting runs would do.

    Attributes:
        runs: those that would go.
        models: how many models go with them.
        bytes: that their weights take on the disk.
        continued_by: names of ended runs that started from one of these models; they are kept and go on working.
    """

    runs: tuple[RunRecord, ...]
    models: int
    bytes: int
    continued_by: tuple[str, ...]


def plan_deletion(session: Session, run_ids: Iterable[str]) -> Deletion:
    """What deleting these runs would free; nothing is changed.

    Raises:
        RunNotFound
        RunNotOver: one of them hasn't ended.
        RunNeeded: a run that hasn't ended starts from one of their models.
    """
    runs = RunRepository(session)
    ids = list(dict.fromkeys(run_ids))
    records = tuple(_ended(runs, run_id) for run_id in ids)
    checkpoints = [row for of_run in runs.checkpoints(ids).values() for row in of_run]
    owner = {row.id: row.run_id for row in checkpoints}
    later = [(run, job) for run, job in runs.starting_from(owner) if run.id not in ids]
    for record in records:
        mine = [checkpoint for checkpoint, run_id in owner.items() if run_id == record.run.id]
        waiting = [run.name for run, job in later if run.starts_from in mine and _is_open(job.state)]
        if runs.has_open_search(record.run.id, mine):
            waiting.append("Learning-rate finder")
        if waiting:
            raise RunNeeded(record.run.id, record.run.name, waiting)
    return Deletion(
        records, len(checkpoints), sum(row.bytes for row in checkpoints), tuple(run.name for run, _ in later)
    )


def remove_runs(open_unit: OpenUnit, storage: Storage, run_ids: Iterable[str]) -> Deletion:
    """Delete ended runs with their models; files go after the commit.

    Raises:
        RunNotFound, RunNotOver, RunNeeded: as ``plan_deletion``; then nothing is deleted.
    """
    with open_unit() as unit:
        plan = plan_deletion(unit.session, run_ids)
        ids = [record.run.id for record in plan.runs]
        folders = RunRepository(unit.session).remove(ids)
    for folder in folders:
        storage.delete_folder("checkpoints", folder)
        storage.delete_folder("heatmaps", folder)
        storage.delete_folder("inside", folder)
    for run_id in ids:
        storage.delete_folder("states", run_id)
    return plan


def _ended(runs: RunRepository, run_id: str) -> RunRecord:
    record = runs.record(run_id)
    if record is None:
        raise RunNotFound(run_id)
    if _is_open(record.job.state):
        raise RunNotOver(run_id, record.run.name)
    return record


def _is_open(state: str) -> bool:
    return not JobState(state).is_final
