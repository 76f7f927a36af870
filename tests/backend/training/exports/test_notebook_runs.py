"""The notebook is run cell by cell, and gets what the training got."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.json import Json
from backend.settings import Settings
from tests.backend.training.exports.trained import Trained, drawn_weights, train, train_again

# Where both compute in the same way, only the last digits differ. The training's runtimes for frozen layers round
# otherwise, and drawn weights, which have learnt nothing, make much of little.
SAME, NEAR = 1e-3, 3e-2
FROZEN = {"freeze": True, "epochs": 3, "max_lr": 3e-3, "train_batch_norm": False, "views": 0}
COURSE = [
    {"freeze": True, "epochs": 2, "max_lr": 3e-3, "train_batch_norm": True},
    {"freeze": False, "epochs": 2, "max_lr": [1e-5, 1e-3], "train_batch_norm": True},
]
SMALLER = {"freeze": False, "epochs": 2, "max_lr": [3e-4, 3e-3], "train_batch_norm": True, "image_size": 48}
GENTLE = {"freeze": False, "epochs": 2, "max_lr": [1e-6, 1e-5], "train_batch_norm": True}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """A notebook is made of a record that is the same on every database."""
    return sqlite_url


@pytest.fixture
def weights(settings: Settings) -> Iterator[Path]:
    with drawn_weights(settings.weights_folder) as file:
        yield file


def run_notebook(trained: Trained, weights: Path, folder: Path, **parameters: str) -> str:
    """Everything that the cells print; parameters are set behind the cell that is tagged, as papermill sets them."""
    (folder / "shapes.zip").write_bytes(trained.pictures())
    notebook = nbformat.reads(trained.export("notebook").text, as_version=4)
    nbformat.validate(notebook)
    tagged = next(at for at, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    given = {"DATA": "shapes.zip", "WEIGHTS": str(weights), **parameters}
    source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    notebook.cells.insert(tagged + 1, nbformat.v4.new_code_cell(source))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream")


def table(printed: str) -> list[tuple[int, float, float, float]]:
    """The epoch tables that were printed."""
    rows = re.findall(r"^ *(\d+)  +([\d.]+)  +([\d.]+)  +([\d.]+)$", printed, re.MULTILINE)
    return [(int(epoch), float(train), float(valid), float(error)) for epoch, train, valid, error in rows]


@pytest.mark.parametrize(
    ("stages", "config", "within"),
    [
        ([FROZEN, GENTLE | {"image_size": 48, "keep_best": True}], {}, NEAR),
        (COURSE, {"class_balance": "weighted-loss", "weight_decay": 0.1, "recipe": "lesson-1"}, SAME),
        (
            [FROZEN | {"views": 2}, GENTLE | {"frozen_blocks": 2, "train_batch_norm": False}],
            {"test_time_views": 2},
            NEAR,
        ),
        ([SMALLER], {"class_balance": "balanced-sampling", "label_smoothing": 0.1}, SAME),
    ],
    ids=["recommended", "course", "stored answers", "balanced"],
)
def test_it_gets_the_error_of_the_training(
    client: TestClient,
    services: Services,
    weights: Path,
    tmp_path: Path,
    stages: list[Json],
    config: dict[str, Any],  # Any: settings of a training
    within: float,
) -> None:
    trained = train(client, services, stages, **config)

    printed = run_notebook(trained, weights, tmp_path)

    rows = table(printed)
    assert [row[0] for row in rows] == [epoch["epoch"] for epoch in trained.epochs]
    for row, epoch in zip(rows, trained.epochs, strict=True):
        assert row[1:3] == pytest.approx((epoch["train_loss"], epoch["valid_loss"]), abs=within)
        assert row[3] == pytest.approx(epoch["error_rate"], abs=1e-6)
    here, there = re.findall(r"(\d+) of (\d+) pictures wrong", printed)
    assert here == there


def test_it_goes_on_from_the_model_that_the_training_went_on_from(
    client: TestClient, services: Services, weights: Path, tmp_path: Path
) -> None:
    first = train(client, services, [FROZEN])
    start = tmp_path / "start.safetensors"
    start.write_bytes(first.export("safetensors").content)
    second = train_again(client, services, first.version_id, [SMALLER], starts_from=first.checkpoints[0]["id"])

    printed = run_notebook(second, weights, tmp_path, START=str(start))

    for row, epoch in zip(table(printed), second.epochs, strict=True):
        assert row[1:] == pytest.approx((epoch["train_loss"], epoch["valid_loss"], epoch["error_rate"]), abs=SAME)


def test_it_refuses_pictures_of_another_version(
    client: TestClient, services: Services, weights: Path, tmp_path: Path
) -> None:
    trained = train(client, services, [FROZEN])
    other = train(client, services, [FROZEN], each=6)

    with pytest.raises(CellExecutionError, match="is another version than the one trained on"):
        run_notebook(Trained(client, other.version_id, trained.run_id), weights, tmp_path)
