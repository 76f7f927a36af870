"""A network so small that its answers can be worked out by hand."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backend.imaging.preprocessing import Preprocessing
from backend.prediction.models import ModelSource

COLOURS = ("blue", "green", "red")
SIZE = 16


def write_colour_model(folder: Path) -> None:
    """``model.onnx``: the mean of each colour, in [0, 1], times 4, through a softmax."""
    weights = 4 * np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float32)  # (C, K)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["images"], ["means"]),
            helper.make_node("Flatten", ["means"], ["features"]),
            helper.make_node("MatMul", ["features", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")


def source_in(folder: Path, checkpoint_id: str = "c" * 32) -> ModelSource:
    """The colour model as a checkpoint in ``folder``."""
    return ModelSource(
        checkpoint_id=checkpoint_id,
        sha256="0" * 64,
        folder=folder,
        classes=COLOURS,
        preprocessing=Preprocessing(size=SIZE, resize_to=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3),
    )


@pytest.fixture
def colour_model(tmp_path: Path) -> ModelSource:
    """A model that names the strongest colour of a picture."""
    write_colour_model(tmp_path / "colours")
    return source_in(tmp_path / "colours")
