"""A downloaded model is named with its dataset."""

import pytest

from backend.db.session import Database
from backend.tables.datasets import DatasetRow
from backend.training.export_names import attachment, export_name
from backend.training.find import find_checkpoint
from tests.backend.training.scene import Scene
from tests.backend.training.test_remove import finished_run


@pytest.mark.parametrize(
    ("dataset", "begins"),
    [
        ("Pets", "Pets-efficientnet-lite0-stage-1-"),
        ("My cats / dogs", "My-cats-dogs-efficientnet-lite0-stage-1-"),
        ("../../etc", "etc-efficientnet-lite0-stage-1-"),
        ("猫", "猫-efficientnet-lite0-stage-1-"),
        ("???", "efficientnet-lite0-stage-1-"),
    ],
)
def test_the_name_is_of_dataset_network_and_stage(database: Database, dataset: str, begins: str) -> None:
    scene = Scene(database)
    run_id, checkpoint_id = finished_run(scene)
    with database.write() as session:
        session.get_one(DatasetRow, scene.view(run_id).dataset_id).name = dataset

    with database.read() as session:
        name = export_name(session, find_checkpoint(session, checkpoint_id), ".onnx")

    assert name == f"{begins}{checkpoint_id[-8:]}.onnx"


def test_a_header_takes_any_name() -> None:
    assert attachment("猫.onnx") == "attachment; filename=\"_.onnx\"; filename*=UTF-8''%E7%8C%AB.onnx"
