"""The process that looks inside a network: what it leaves beside its order."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from backend.domain.inside import Inside, InsideOrder, SampleImage
from backend.storage.local import LocalStorage
from tests.fixtures.inside import train_timm
from tests.fixtures.pictures import draw, encode


def run(order: InsideOrder) -> int:
    file = order.folder / "order.json"
    file.write_bytes(TypeAdapter(InsideOrder).dump_json(order))
    return subprocess.run([sys.executable, "-m", "worker.inside", str(file)], check=False).returncode


@pytest.fixture
def order(tmp_path: Path) -> InsideOrder:
    storage = LocalStorage(tmp_path / "storage")
    images = tuple(
        SampleImage(f"{shape}-{number}", storage.put_bytes(encode(draw(shape, number))), shape)
        for shape in ("circle", "square")
        for number in range(3)
    )
    (tmp_path / "inside").mkdir()
    return InsideOrder(tmp_path / "nowhere", None, tmp_path / "weights", storage.root, images, tmp_path / "inside")


def test_it_leaves_its_result_and_its_pictures(order: InsideOrder, tmp_path: Path) -> None:
    checkpoint = train_timm(tmp_path)

    assert (
        run(InsideOrder(checkpoint, order.weights, order.weights_folder, order.storage, order.images, order.folder))
        == 0
    )

    found = TypeAdapter(Inside).validate_json((order.folder / "inside.json").read_bytes())
    assert (found.images, found.view_side) == (6, 32)
    assert json.loads((order.folder / "progress.json").read_bytes()) == {"done": 6, "total": 6}
    drawn = {file.name for file in order.folder.glob("block-*")}
    assert drawn == {
        f"block-{block.number}-unit-{unit.number}-after.webp" for block in found.blocks for unit in block.units
    }


def test_it_leaves_the_reason_where_there_is_no_checkpoint(order: InsideOrder) -> None:
    assert run(order) == 3

    failure = json.loads((order.folder / "failure.json").read_bytes())
    assert "can't be read" in failure["message"]
    assert not (order.folder / "inside.json").exists()
