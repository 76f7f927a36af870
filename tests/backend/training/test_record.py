import pytest

from backend.db.session import Database
from backend.domain.events import Event, FeaturesKept, ImageSkipped, Phase, PhaseProgress, PhaseStarted, StageStarted
from backend.ledger.job import TRAINER_CRASHED, Claim, Failure, LostLease, Outcome
from backend.ledger.repository import Ledger
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.repository import RunRepository
from tests.backend.training.scene import (
    Scene,
    epoch_finished,
    stage_finished,
    state_saved,
    step_finished,
    stored_checkpoint,
)

HERE = Standing(0, 1, 0.25, 90.0, device="cpu")


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
def claim(scene: Scene) -> Claim:
    scene.run()
    return scene.claim()


def test_events_are_kept_in_order_and_the_run_shows_how_far_it_is(scene: Scene, claim: Claim) -> None:
    events: list[Event] = [
        PhaseStarted(Phase.DATA, "Reading 200 images"),
        ImageSkipped("image-1", "a/1.png", "it is cut off"),
        StageStarted(0, True, 4, 0, 100, "cpu"),
        step_finished(3),
    ]

    with scene.database.write() as session:
        progress.begin(session, claim)
        progress.record_events(session, claim, events, HERE)

    with scene.database.read() as session:
        kinds = [event.kind for event in RunRepository(session).events(claim.subject_id, 0, 100)]
    assert kinds == ["phase", "image-skipped", "stage", "steps"]
    view = scene.view(claim.subject_id)
    assert (view.status, view.stage, view.epoch, view.progress, view.eta_s) == ("running", 0, 1, 0.25, 90.0)
    assert view.device == "cpu"


def test_a_device_once_known_stays_and_words_of_a_phase_go(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        progress.record_events(session, claim, [], Standing(phase="Reading images: 50 of 200", device="cpu"))
        progress.record_events(session, claim, [], Standing(0, 0, activity="learn"))

    view = scene.view(claim.subject_id)
    assert (view.phase, view.device, view.activity) == (None, "cpu", "learn")


def test_an_epoch_and_the_state_after_it_are_kept_together(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        is_new = progress.record_epoch(session, claim, epoch_finished(0, 0), state_saved(0, 0), HERE)

    with scene.database.read() as session:
        (row,) = RunRepository(session).epochs(claim.subject_id)
        (state,) = RunRepository(session).states(claim.subject_id, 10)
    assert is_new
    assert (row.stage, row.epoch, row.error_rate, row.attempt) == (0, 0, 0.1, 1)
    assert (state.file, state.attempt) == ("state-0-0.safetensors", 1)


def test_an_epoch_that_is_there_is_not_written_again(scene: Scene, claim: Claim) -> None:
    for _time in range(2):
        with scene.database.write() as session:
            progress.record_epoch(session, claim, epoch_finished(0, 0), state_saved(0, 0), HERE)

    with scene.database.read() as session:
        assert len(RunRepository(session).epochs(claim.subject_id)) == 1
        assert len(RunRepository(session).states(claim.subject_id, 10)) == 1
        assert [event.kind for event in RunRepository(session).events(claim.subject_id, 0, 100)] == ["epoch"]


def test_only_the_last_two_states_are_remembered(scene: Scene, claim: Claim) -> None:
    for epoch in range(4):
        with scene.database.write() as session:
            progress.record_epoch(session, claim, epoch_finished(0, epoch), state_saved(0, epoch), HERE)

    with scene.database.read() as session:
        assert [state.epoch for state in RunRepository(session).states(claim.subject_id, 10)] == [4, 3]


def test_the_newest_state_is_the_last_written_also_after_a_training_went_back(scene: Scene, claim: Claim) -> None:
    for epoch in (2, 3, 0):
        with scene.database.write() as session:
            progress.record_state(session, claim, state_saved(0, epoch), HERE)

    with scene.database.read() as session:
        assert [state.epoch for state in RunRepository(session).states(claim.subject_id, 10)] == [1, 4]


def test_an_epoch_forgives_former_tries(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, 1, Outcome.CRASHED, failure=TRAINER_CRASHED)
    again = scene.claim()
    with scene.database.write() as session:
        progress.record_epoch(session, again, epoch_finished(0, 0), state_saved(0, 0), HERE)
        job = Ledger(session).find(claim.job_id)
        assert job is not None
        assert (job.no_progress, job.attempt) == (0, 2)


def test_features_that_are_kept_forgive_former_tries_and_others_do_not(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, 1, Outcome.CRASHED, failure=TRAINER_CRASHED)
    again = scene.claim()
    tries = []
    for event in (PhaseProgress(Phase.FEATURES, 8, 100), FeaturesKept(64)):
        with scene.database.write() as session:
            progress.record_events(session, again, [event], HERE)
            job = Ledger(session).find(claim.job_id)
            assert job is not None
            tries.append(job.no_progress)

    assert tries == [1, 0]


def test_a_checkpoint_is_kept_once(scene: Scene, claim: Claim) -> None:
    first, second = stored_checkpoint(), stored_checkpoint()
    with scene.database.write() as session:
        standing = progress.record_checkpoint(session, claim, stage_finished(0), first, HERE)
    with scene.database.write() as session:
        still = progress.record_checkpoint(session, claim, stage_finished(0), second, HERE)

    assert (standing, still) == (first.id, first.id)
    (checkpoint,) = scene.view(claim.subject_id).checkpoints
    assert (checkpoint.id, checkpoint.stage, checkpoint.bytes) == (first.id, 0, 1234)


def test_who_was_overtaken_writes_nothing(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, 1, Outcome.LOST, failure=TRAINER_CRASHED)
    scene.claim("worker-2")

    with pytest.raises(LostLease), scene.database.write() as session:
        progress.record_epoch(session, claim, epoch_finished(0, 0), state_saved(0, 0), HERE)
    with pytest.raises(LostLease), scene.database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored_checkpoint(), HERE)
    with pytest.raises(LostLease), scene.database.write() as session:
        progress.record_events(session, claim, [step_finished(1)], HERE)

    with scene.database.read() as session:
        assert RunRepository(session).epochs(claim.subject_id) == []
        assert RunRepository(session).events(claim.subject_id, 0, 100) == []


def test_it_is_whole_only_when_it_has_succeeded(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        progress.begin(session, claim)
        progress.finish(session, claim)

    view = scene.view(claim.subject_id)
    assert (view.status, view.progress, view.eta_s) == ("succeeded", 1.0, None)


def test_a_failure_keeps_its_reason_and_advice(scene: Scene, claim: Claim) -> None:
    with scene.database.write() as session:
        progress.fail(session, claim, Failure("diverged", "It went off the rails.", "Take a lower rate."))

    view = scene.view(claim.subject_id)
    assert (view.status, view.failure) == (
        "failed",
        Failure("diverged", "It went off the rails.", "Take a lower rate."),
    )


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome.LOST, "Resumed after an interruption, attempt 2"),
        (Outcome.PAUSED, "Resumed after a pause"),
        (Outcome.YIELDED, "Resumed after a restart of the worker"),
    ],
)
def test_a_run_that_continues_shows_after_what(scene: Scene, claim: Claim, outcome: Outcome, text: str) -> None:
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, 1, outcome, failure=TRAINER_CRASHED)
    again = scene.claim()

    with scene.database.write() as session:
        progress.begin(session, again)

    with scene.database.read() as session:
        (event,) = RunRepository(session).events(claim.subject_id, 0, 10)
    assert event.data == {"topic": "resume", "text": text}
