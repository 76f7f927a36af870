import errno
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from backend.db.session import Database, WriteSession
from backend.domain.errors import InvalidInput
from backend.domain.ids import RunId, new_id
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.domain.training import TrainingRequest, resolve
from backend.interpretation.find import results_of
from backend.interpretation.service import top_losses
from backend.ledger.job import TRAINER_CRASHED, Claim, Outcome
from backend.ledger.repository import Ledger
from backend.storage.local import LocalStorage
from backend.tables.datasets import DatasetRow, ImageRow
from backend.training import record
from backend.training.forecast.eta import Standing
from backend.training.forecast.follower import RunFollower
from backend.training.repository import RunRepository
from tests.backend.training.scene import STAGES, Scene, epoch_finished, stage_finished, state_saved, step_finished
from worker.engine.checkpoints import checkpoint
from worker.engine.errors import DiskFull
from worker.engine.order import Stopped
from worker.jobs.recording import recording
from worker.jobs.train_recorder import TrainRecorder

CONFIG = resolve(TrainingRequest(stages=STAGES))


class Stop:
    """A stop signal that is given by hand."""

    given = False

    def finish_requested(self) -> bool:
        """Never."""
        return False

    def requested(self) -> bool:
        """Whether it was."""
        return self.given


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
def claim(scene: Scene) -> Claim:
    scene.run()
    return scene.claim()


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def recorder(database: Database, storage: LocalStorage, claim: Claim, stop: Stop) -> TrainRecorder:
    return TrainRecorder(database, storage, claim, CONFIG, stop)


def _kinds(scene: Scene, claim: Claim) -> list[str]:
    with scene.database.read() as session:
        return [event.kind for event in RunRepository(session).events(claim.subject_id, 0, 100)]


def test_an_epoch_waits_for_the_state_after_it(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    recorder(step_finished(1))
    recorder(epoch_finished(0, 0))
    assert "epoch" not in _kinds(scene, claim)

    recorder(state_saved(0, 0))

    assert _kinds(scene, claim) == ["steps", "epoch"]


def test_what_waits_is_written_with_the_epoch_in_order(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    for step in range(1, 6):
        recorder(step_finished(step))
    recorder(epoch_finished(0, 0))
    recorder(state_saved(0, 0))

    with scene.database.read() as session:
        steps = [row.data["step"] for row in RunRepository(session).events(claim.subject_id, 0, 100)[:-1]]
    assert steps == [1, 2, 3, 4, 5]


def test_the_end_of_the_block_is_success(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    with recording(recorder) as code:
        recorder(step_finished(1))

    assert code.value == 0
    assert scene.view(claim.subject_id).status == "succeeded"


def test_a_refusal_fails_the_run_with_its_words(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    with recording(recorder) as code:
        raise InvalidInput("It went off the rails.", advice="Take a lower rate.")

    failure = scene.view(claim.subject_id).failure
    assert code.value == 20
    assert failure is not None
    assert (failure.code, failure.message, failure.advice) == (
        "invalid-input",
        "It went off the rails.",
        "Take a lower rate.",
    )


def test_a_stop_gives_the_run_back(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    with recording(recorder) as code:
        recorder(step_finished(1))
        recorder(step_finished(2))
        raise Stopped

    assert code.value == 12
    assert _kinds(scene, claim) == ["steps", "steps"]


def test_a_stop_that_the_owner_wanted_is_a_cancel(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    with scene.database.write() as session:
        Ledger(session).cancel(claim.job_id)

    with recording(recorder) as code:
        raise Stopped

    assert code.value == 11


def test_a_stop_that_the_owner_wanted_for_a_while_is_a_pause(
    scene: Scene, claim: Claim, recorder: TrainRecorder
) -> None:
    with scene.database.write() as session:
        Ledger(session).pause(claim.job_id)

    with recording(recorder) as code:
        raise Stopped

    assert code.value == 10


def test_a_full_disk_pauses_the_run_with_its_words_and_the_room_that_it_needs(
    scene: Scene, claim: Claim, recorder: TrainRecorder
) -> None:
    with recording(recorder) as code:
        recorder(step_finished(1))
        raise DiskFull(needed_bytes=320_000_000, free_bytes=1_000_000)

    view = scene.view(claim.subject_id)
    assert code.value == 50
    assert view.failure is not None
    assert (view.status, view.failure.code, view.waits_for and view.waits_for.code) == (
        "paused",
        "disk-full",
        "disk-full",
    )
    assert view.failure.message == "The disk is full: saving needs about 320 MB and 1 MB are free."
    assert _kinds(scene, claim) == ["steps"]


def test_a_disk_that_is_full_elsewhere_pauses_it_too(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    with recording(recorder) as code:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert (code.value, scene.view(claim.subject_id).status) == (50, "paused")


def test_another_error_of_the_system_is_raised(recorder: TrainRecorder) -> None:
    with pytest.raises(OSError, match="Input/output"), recording(recorder):
        raise OSError(errno.EIO, "Input/output error")


def test_j27_an_error_that_the_card_cannot_recover_from_ends_the_process_with_its_code(
    scene: Scene, claim: Claim, recorder: TrainRecorder
) -> None:
    with recording(recorder) as code:
        raise RuntimeError("CUDA error: device-side assert triggered")

    assert (code.value, scene.view(claim.subject_id).status) == (40, "running")


@pytest.mark.parametrize(("error", "exit_code"), [("out-of-memory", 30), ("diverged", 31), ("anything", 20)])
def test_the_exit_code_shows_which_refusal_it_was(recorder: TrainRecorder, error: str, exit_code: int) -> None:
    class Refusal(InvalidInput):
        code = error

    with recording(recorder) as code:
        raise Refusal("It can't be done.")

    assert code.value == exit_code


def test_who_was_overtaken_ends_without_a_word(scene: Scene, claim: Claim, recorder: TrainRecorder) -> None:
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, 1, Outcome.LOST, failure=TRAINER_CRASHED)

    with recording(recorder) as code:
        recorder(epoch_finished(0, 0))
        recorder(state_saved(0, 0))

    assert code.value == 13
    assert _kinds(scene, claim) == []


def test_a_bug_is_raised(recorder: TrainRecorder) -> None:
    with pytest.raises(ZeroDivisionError), recording(recorder):
        raise ZeroDivisionError


def test_a_database_that_is_away_only_delays(
    scene: Scene, claim: Claim, storage: LocalStorage, database: Database, stop: Stop
) -> None:
    away = Away(database, times=3)
    recorder = TrainRecorder(away, storage, claim, CONFIG, stop)

    recorder(step_finished(1))
    recorder(step_finished(2))
    recorder(epoch_finished(0, 0))
    recorder(state_saved(0, 0))

    assert away.times == 0
    assert _kinds(scene, claim) == ["steps", "steps", "epoch"]


def test_a_stop_is_heard_while_the_database_is_away(
    claim: Claim, storage: LocalStorage, database: Database, stop: Stop
) -> None:
    stop.given = True
    recorder = TrainRecorder(Away(database, times=100), storage, claim, CONFIG, stop)

    with recording(recorder) as code:
        recorder(epoch_finished(0, 0))
        recorder(state_saved(0, 0))

    assert code.value == 12


class Away(Database):
    """A database that refuses the first few transactions."""

    def __init__(self, real: Database, times: int) -> None:
        self._real, self.times = real, times

    @contextmanager
    def write(self) -> Iterator[WriteSession]:
        """As the real one, later."""
        if self.times:
            self.times -= 1
            raise OperationalError("BEGIN", {}, ConnectionError("away"))
        with self._real.write() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[WriteSession]:  # type: ignore[override] # what the test asks for
        """As the real one, later."""
        with self.write() as session:
            yield session


def test_progress_continues_being_shown_while_the_engine_reports_nothing(
    scene: Scene, claim: Claim, database: Database, storage: LocalStorage, stop: Stop
) -> None:
    clock = iter([0.0, *[2.0] * 1000])
    follower = RunFollower(CONFIG, monotonic=lambda: next(clock))
    recorder = TrainRecorder(database, storage, claim, CONFIG, stop, follower=follower)

    with recorder.showing_silence():
        assert _until(lambda: scene.view(claim.subject_id).progress > 0)

    assert scene.view(claim.subject_id).eta_s is None


def test_silence_is_not_shown_of_a_run_that_another_attempt_has(scene: Scene, claim: Claim) -> None:
    overtaken = replace(claim, attempt=claim.attempt - 1)

    with scene.database.write() as session:
        record.show_between_events(session, overtaken, Standing(progress=0.5))

    assert scene.view(claim.subject_id).progress == 0


def _until(holds: Callable[[], bool]) -> bool:
    for _look in range(300):
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_answers_for_test_images_are_kept_beside_those_for_validation(
    scene: Scene, claim: Claim, recorder: TrainRecorder, tmp_path: Path
) -> None:
    valid, test = (_answered(scene, number) for number in range(2))
    folder = tmp_path / "stage-0"
    folder.mkdir()
    content = {
        "architecture": "efficientnet-lite0",
        "classes": ["bear", "cat"],
        "preprocessing": {},
        "metrics": {"valid": {"error_rate": 0.0, "loss": 0.1}, "test": {"error_rate": 0.0, "loss": 0.2}},
    }
    (folder / "checkpoint.json").write_text(json.dumps(content))
    (folder / "parity.json").write_text("{}")
    checkpoint.write_predictions(folder, "valid", valid)
    checkpoint.write_predictions(folder, "test", test)
    recorder.output_folder = tmp_path

    recorder(stage_finished(0))

    with scene.database.read() as session:
        for split, evaluation in ((Split.VALID, valid), (Split.TEST, test)):
            results = results_of(session, RunId(claim.subject_id), split=split)
            (answered,) = top_losses(session, results, k=10)
            assert answered.image_id == evaluation.image_ids[0]


def _answered(scene: Scene, number: int) -> Evaluation:
    """The right answer for one image, which is put into the dataset."""
    image_id = new_id()
    with scene.database.write() as session:
        dataset_id = session.scalars(select(DatasetRow.id)).one()
        path, digest = f"bear/{number}.png", f"{number:064x}"
        session.add(
            ImageRow(
                id=image_id,
                dataset_id=dataset_id,
                digest=digest,
                path=path,
                format="PNG",
                width=32,
                height=32,
                bytes=1,
            )
        )
    probabilities = np.array([[0.9, 0.1]], dtype=np.float32)
    return Evaluation(("bear", "cat"), (image_id,), probabilities, np.zeros(1, np.int64))
