"""Trained models kept ready to answer, in the web process and without torch."""

import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from backend.domain.attribution import FEATURE_MAP, Head
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import Measure
from backend.domain.errors import AppError, Unavailable
from backend.imaging.preprocessing import Pixels, Preprocessing
from backend.training.confidence.onnx_graph import GRAPH, NODE_OUTPUT, OUTPUT, VALUE_NAME
from backend.training.confidence.protobuf import message, text, written
from backend.training.model_files import ModelDamaged, ModelFile, verified


class ModelMissing(Unavailable):
    """The checkpoint's file can't be opened."""

    code = "model-missing"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "The file of this model isn't where it was kept, so it can't answer.",
            advice="Train again, or bring back the data folder from a backup.",
            details={"checkpoint_id": checkpoint_id},
        )


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a checkpoint's model lies and how pictures are prepared for it.

    Attributes:
        classes: K names, in the order of the model's outputs.
        sha256: of the weights; a model is loaded anew when it changes.
        folder: holds ``model.onnx``.
        confidence: what was chosen about its answers.
        measure: what strangeness is measured by; None where nobody has chosen a limit for it.
    """

    checkpoint_id: str
    sha256: str
    folder: Path
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    confidence: ConfidenceSettings = ConfidenceSettings()
    measure: Measure | None = None


_FEATURES: Final = "features"
"""Name of the pooled features, (N, F), inside an exported model."""


class Model:
    """A loaded model; may be asked by several threads at once.

    Attributes:
        has_feature_map: whether ``feature_map`` may be called; models of earlier versions have none.
        has_features: whether ``probabilities_and_features`` may be called.
        head: its last layers, where somebody has read them.
    """

    def __init__(self, content: bytes, *, threads: int) -> None:
        self.has_feature_map, self.has_features = (
            written([text(NODE_OUTPUT, name)]) in content for name in (FEATURE_MAP, _FEATURES)
        )
        inside = [name for name, has in ((FEATURE_MAP, self.has_feature_map), (_FEATURES, self.has_features)) if has]
        self.head: Head | None = None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning would take the processor from a training beside us.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(  # Any: onnxruntime comes without types
            _with_outputs(content, inside),
            options,
            providers=["CPUExecutionProvider"],
        )

    def probabilities(self, views: list[Pixels]) -> NDArray[np.float32]:
        """(N, K) for N views of (H, W, 3); the normalisation is part of the model's graph."""
        (found,) = self._run(["probabilities"], views)
        return found

    def probabilities_and_features(self, views: list[Pixels]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, K) and (N, F) for N views of (H, W, 3)."""
        probabilities, features = self._run(["probabilities", _FEATURES], views)
        return probabilities, features

    def feature_map(self, view: Pixels) -> NDArray[np.float32]:
        """(C, h, w): the last feature map of a view of (H, W, 3)."""
        (maps,) = self._run([FEATURE_MAP], [view])
        found: NDArray[np.float32] = maps[0]
        return found

    def _run(self, outputs: list[str], views: list[Pixels]) -> list[NDArray[np.float32]]:
        scaled = np.stack(views).astype(np.float32) / np.float32(255)
        images = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
        return [np.asarray(found, dtype=np.float32) for found in self._session.run(outputs, {"images": images})]


def _with_outputs(content: bytes, names: list[str]) -> bytes:
    """The model with tensors that are inside it among the outputs.

    Files that are handed out have one output, as programs that use them expect. Protobuf joins lists of what is
    appended to those of what is there, so that nothing needs to be parsed.
    """
    return content + written(message(GRAPH, [message(OUTPUT, [text(VALUE_NAME, name)])]) for name in names)


class ModelCache:
    """The models used last, at most ``capacity`` of them; the one not used for the longest time is dropped."""

    def __init__(self, *, capacity: int = 4, threads: int | None = None) -> None:
        self._capacity = capacity
        self._threads = threads or max(1, min(4, (os.cpu_count() or 2) // 2))
        self._lock = threading.Lock()
        self._models: OrderedDict[tuple[str, str], Future[Model]] = OrderedDict()

    def model(self, source: ModelSource) -> Model:
        """The loaded model; loaded once, however many ask for it at the same time.

        Raises:
            ModelMissing: its file isn't there or can't be read.
            ModelDamaged: its file isn't what was written.
        """
        key = (source.checkpoint_id, source.sha256)
        with self._lock:
            waiting = self._models.get(key)
            is_mine = waiting is None
            if waiting is None:
                waiting = self._models[key] = Future()
                while len(self._models) > self._capacity:
                    self._models.popitem(last=False)
            else:
                self._models.move_to_end(key)
        if is_mine:
            self._load(key, source, waiting)
        return waiting.result()

    def _load(self, key: tuple[str, str], source: ModelSource, waiting: Future[Model]) -> None:
        try:
            content = verified(source.folder, ModelFile.ONNX, source.checkpoint_id)
            waiting.set_result(Model(content, threads=self._threads))
        # onnxruntime has a dozen kinds of its own for a file it can't use; all mean the same to the person.
        except Exception as error:
            with self._lock:
                self._models.pop(key, None)
            refusal = _refusal(source, error)
            refusal.__cause__ = error
            waiting.set_exception(refusal)


def _refusal(source: ModelSource, error: Exception) -> AppError:
    if isinstance(error, ModelDamaged):
        return error
    return ModelMissing(source.checkpoint_id) if isinstance(error, OSError) else ModelDamaged(source.checkpoint_id)
