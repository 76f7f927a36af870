"""What an attempt writes down about its run. Every call takes the fence first: who was overtaken writes nothing.

Each function belongs to the caller's transaction, and each may be repeated: an epoch,
a state or a checkpoint that is there already is not written twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from backend.db.session import WriteSession
from backend.domain.events import (
    EpochFinished,
    EpochsChanged,
    Event,
    FeaturesKept,
    ImageSkipped,
    MicroBatchHalved,
    Note,
    NoteTopic,
    PhaseStarted,
    RateFound,
    RolledBack,
    StageCutShort,
    StageFinished,
    StageSkipped,
    StageStarted,
    StateSaved,
    StepFinished,
)
from backend.domain.ids import CheckpointId, RunId, new_id
from backend.domain.json import Json
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.interpretation.find import results_of
from backend.interpretation.record import record_predictions
from backend.ledger.job import Claim, Failure, JobKind, JobState, Outcome
from backend.ledger.repository import Ledger
from backend.tables.training import CheckpointRow, StatePointRow
from backend.training.checkpoint_jobs.service import want_first
from backend.training.forecast.eta import Standing
from backend.training.repository import RunRepository, new_epoch

KEPT_STATES: Final = 2
"""Points to go on from that are kept: the newest, and the one before in case that is damaged."""

KIND_OF: Final[Mapping[type[Event], str]] = {
    PhaseStarted: "phase",
    Note: "note",
    ImageSkipped: "image-skipped",
    StageStarted: "stage",
    StepFinished: "steps",
    EpochFinished: "epoch",
    StageFinished: "checkpoint",
    StageCutShort: "stage-cut-short",
    StageSkipped: "stage-skipped",
    EpochsChanged: "epochs-changed",
    RateFound: "rate-found",
    MicroBatchHalved: "micro-batch-halved",
    RolledBack: "rolled-back",
}
"""Name of each event that is kept and streamed. The rest only moves what is displayed of the run."""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A finished stage as it lies in storage.

    Attributes:
        folder: name in the storage's ``checkpoints``.
        content: ``checkpoint.json``; JSON values.
        parity: ``parity.json``; JSON values.
        evaluations: its answers for held-out images, by split; ``valid`` is among them.
    """

    id: CheckpointId
    folder: str
    content: Mapping[str, Json]
    parity: Mapping[str, Json]
    evaluations: Mapping[Split, Evaluation]


def begin(session: WriteSession, claim: Claim) -> None:
    """The attempt has got going."""
    ledger = Ledger(session)
    ledger.begin(claim.job_id, claim.attempt)
    before = [attempt.outcome for attempt in ledger.attempts(claim.job_id) if attempt.number < claim.attempt]
    if before:
        text = _GOES_ON_AFTER.get(before[-1] or "", f"Resumed after an interruption, attempt {claim.attempt}")
        RunRepository(session).add_events(claim.subject_id, [(KIND_OF[Note], asdict(Note(NoteTopic.RESUME, text)))])


_GOES_ON_AFTER: Final = {
    Outcome.PAUSED.value: "Resumed after a pause",
    Outcome.YIELDED.value: "Resumed after a restart of the worker",
}


def record_events(session: WriteSession, claim: Claim, events: Iterable[Event], standing: Standing) -> None:
    """Keep what happened, and show how far the run is."""
    events = list(events)
    ledger = Ledger(session)
    if any(isinstance(event, FeaturesKept) for event in events):
        ledger.progressed(claim.job_id, claim.attempt)
    else:
        ledger.progress_seen(claim.job_id, claim.attempt)
    runs = RunRepository(session)
    runs.add_events(
        claim.subject_id, [(KIND_OF[type(event)], asdict(event)) for event in events if type(event) in KIND_OF]
    )
    runs.show(claim.subject_id, **standing.shown)


def show_between_events(session: WriteSession, claim: Claim, standing: Standing) -> None:
    """Show how far the run is while nothing is reported; no sign of progress, and nothing once another has the job."""
    RunRepository(session).show_of_attempt(claim, **standing.shown)


def record_epoch(
    session: WriteSession,
    claim: Claim,
    epoch: EpochFinished,
    state: StateSaved | None,
    standing: Standing,
) -> bool:
    """A row of the table and the point to go on from after it, in one; whether the row is new."""
    Ledger(session).progressed(claim.job_id, claim.attempt)
    runs = RunRepository(session)
    if state is not None:
        runs.put_state(_state_row(claim, state))
        runs.forget_states(claim.subject_id, KEPT_STATES)
    runs.show(claim.subject_id, **standing.shown)
    if runs.has_epoch(claim.subject_id, epoch.stage, epoch.epoch):
        return False
    runs.add_epoch(new_epoch(claim.subject_id, claim.attempt, asdict(epoch)))
    runs.add_events(claim.subject_id, [(KIND_OF[EpochFinished], {**asdict(epoch), "attempt": claim.attempt})])
    return True


def record_state(session: WriteSession, claim: Claim, state: StateSaved, standing: Standing) -> None:
    """A point to go on from in the middle of an epoch."""
    Ledger(session).progressed(claim.job_id, claim.attempt)
    runs = RunRepository(session)
    runs.put_state(_state_row(claim, state))
    runs.forget_states(claim.subject_id, KEPT_STATES)
    runs.show(claim.subject_id, **standing.shown)


def record_checkpoint(
    session: WriteSession, claim: Claim, event: StageFinished, stored: StoredCheckpoint, standing: Standing
) -> CheckpointId:
    """A finished stage with its answers; the checkpoint that now stands. One that is there already stays."""
    Ledger(session).progressed(claim.job_id, claim.attempt)
    runs = RunRepository(session)
    if (there := runs.checkpoint_of(claim.subject_id, event.stage)) is not None:
        return CheckpointId(there.id)
    runs.add_checkpoint(
        CheckpointRow(
            id=stored.id,
            run_id=claim.subject_id,
            stage=event.stage,
            epoch=event.epoch,
            architecture=stored.content["architecture"],
            classes=stored.content["classes"],
            preprocessing=stored.content["preprocessing"],
            metrics=stored.content["metrics"],
            parity=dict(stored.parity),
            folder=stored.folder,
            sha256=event.sha256,
            bytes=event.size_bytes,
        )
    )
    for split, evaluation in stored.evaluations.items():
        record_predictions(session, stored.id, evaluation, split)
    runs.show(claim.subject_id, **standing.shown)
    runs.add_events(
        claim.subject_id,
        [
            (
                KIND_OF[StageFinished],
                {
                    "id": stored.id,
                    "stage": event.stage,
                    "epoch": event.epoch,
                    "valid_loss": event.valid_loss,
                    "error_rate": event.error_rate,
                },
            )
        ],
    )
    return stored.id


def finish(session: WriteSession, claim: Claim, *, heatmaps_ahead: bool = False) -> JobState:
    """The run is done: only now is its progress 1. With ``heatmaps_ahead`` those of its best model are asked for."""
    state = Ledger(session).finish(claim.job_id, claim.attempt)
    if state is JobState.SUCCEEDED:
        RunRepository(session).show(claim.subject_id, progress=1.0, eta_s=0.0, phase=None)
        if heatmaps_ahead and RunRepository(session).checkpoints([claim.subject_id]):
            want_first(session, results_of(session, RunId(claim.subject_id)).checkpoint_id, JobKind.HEATMAPS)
    return state


def fail(session: WriteSession, claim: Claim, failure: Failure) -> JobState:
    """The run can't be done."""
    state = Ledger(session).fail(claim.job_id, claim.attempt, failure)
    RunRepository(session).show(claim.subject_id, eta_s=None, phase=None)
    return state


def _state_row(claim: Claim, state: StateSaved) -> StatePointRow:
    return StatePointRow(
        id=new_id(),
        run_id=claim.subject_id,
        stage=state.stage,
        epoch=state.epoch,
        step=state.step,
        attempt=claim.attempt,
        file=state.file,
        sha256=state.sha256,
        bytes=state.size_bytes,
    )
