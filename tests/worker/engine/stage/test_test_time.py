from pathlib import Path

import numpy as np
import pytest

from backend.domain.architectures import Architecture
from backend.domain.events import EpochFinished, PhaseProgress, PhaseStarted
from backend.domain.ids import ImageId
from backend.domain.results import Evaluation
from backend.domain.training import StageRequest
from tests.fixtures.engine import Listener, frozen, order_in, shapes, tiny_config, unfrozen
from worker.engine.checkpoints import checkpoint
from worker.engine.recipe import train
from worker.engine.stage.test_time import mixed

IDS = (ImageId("a"), ImageId("b"))


def answers(*probabilities: tuple[float, float], ids: tuple[ImageId, ...] = IDS) -> Evaluation:
    return Evaluation(("x", "y"), ids, np.array(probabilities, np.float32), np.array([0] * len(ids)))


def test_three_quarters_of_the_random_views_and_a_quarter_of_the_plain_one() -> None:
    plain = answers((1.0, 0.0), (0.0, 1.0))
    random = [answers((0.5, 0.5), (0.4, 0.6)), answers((0.7, 0.3), (0.8, 0.2))]

    found = mixed(plain, random)

    # 0.25 x 1 + 0.75 x 0.6 and 0.25 x 0 + 0.75 x 0.6
    assert found.probabilities == pytest.approx(np.array([[0.7, 0.3], [0.45, 0.55]]))
    assert found.image_ids == IDS


def test_an_image_that_is_gone_keeps_its_plain_answer() -> None:
    plain = answers((1.0, 0.0), (0.0, 1.0))

    found = mixed(plain, [answers((0.6, 0.4), ids=IDS[1:])])

    assert found.probabilities == pytest.approx(np.array([[1.0, 0.0], [0.45, 0.55]]))


@pytest.mark.parametrize("stage", [frozen(1, train_batch_norm=False), unfrozen(1)])
def test_a_checkpoint_shows_by_how_many_views_it_was_judged(
    tmp_path: Path, weights_folder: Path, tiny: Architecture, stage: StageRequest
) -> None:
    listener = Listener()
    order = order_in(tmp_path, weights_folder, tiny_config(stage, test_time_views=2), shapes(train=4, valid=2, test=1))

    train(order, on_event=listener)

    folder = order.output_folder / "stage-0"
    content = checkpoint.read(folder).content
    assert content["test_time_views"] == 2
    assert content["metrics"]["valid"]["loss"] != pytest.approx(listener.of(EpochFinished)[0].valid_loss, abs=1e-9)
    assert len(checkpoint.read_predictions(folder, "test").image_ids) == 3
    phase = "features" if stage.freeze else "evaluation"
    reported = [event for event in listener.of(PhaseStarted) if event.phase == phase]
    progress = [event.done for event in listener.of(PhaseProgress) if event.phase == phase]
    # 3 test images and 2 views of those and of 6 for validation: 21.
    assert "21" in reported[-1].text
    assert progress[-1] == 21
