"""Pictures of which only the pixels show that nothing can be learnt from them."""

from pathlib import Path

import pytest

from backend.domain.events import EpochFinished, ImageSkipped
from backend.domain.manifest import Split
from backend.domain.training import StageRequest
from tests.fixtures.engine import Listener, frozen, order_in, shapes, tiny_config, unfrozen
from tests.fixtures.pictures import not_a_number
from worker.engine.recipe import train


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("stage", [frozen(1), unfrozen(1)], ids=["frozen", "unfrozen"])
def test_g09_values_that_are_no_numbers_are_skipped_and_named_and_spoil_no_loss(
    tmp_path: Path, weights_folder: Path, stage: StageRequest
) -> None:
    manifest, opened = shapes()
    scan = manifest.of(Split.TRAIN)[0]
    opened.files[scan.digest] = not_a_number()
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(stage), (manifest, opened)), on_event=listener)

    assert [(event.path, event.reason) for event in listener.of(ImageSkipped)] == [
        (
            scan.path,
            "it has values that aren't numbers, so nothing says how bright they are. Save it once more without them",
        )
    ]
    assert [0 < event.train_loss < 10 for event in listener.of(EpochFinished)] == [True]
