"""What runs frozen layers: the quickest runtime of the machine that gives the same answers.

Measured on 2 cores (EfficientNet-Lite0, 224 pixels): OpenVINO answers one image at a
time fastest, three times as fast as torch, and an image's answer is the same bits
whatever was computed before and after it. More in ``docs/decisions/0006-openvino.md``.
"""

import hashlib
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property, partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from backend.domain.events import Note, NoteTopic, OnEvent
from backend.imaging.preprocessing import Pixels, Preprocessing
from worker.engine.checkpoints.durable import kept
from worker.engine.checkpoints.export import OPSET
from worker.engine.data.source import to_input
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.network.identity import identity_of
from worker.engine.network.timm_backbones import at_input_size

ALLOWED_DIFFERENCE: Final = 1e-4
"""Largest difference from torch's answers, as a share of the largest of them."""

ALLOWED_ROUGHNESS: Final = 0.1
"""In a rough format: root mean square of the differences, as a share of the answers' (measured: 0.005 to 0.04)."""

CHECKED_IMAGES: Final = 2

WORTH_IT: Final = 64
"""Images from which on preparing a runtime costs less than it saves."""

Answer = NDArray[np.float32]
"""The layers' output for one image, of any shape."""


class Runtime(Protocol):
    """Runs layers; equal ``name``s give equal bits on one machine, so that their answers may be mixed."""

    name: str

    def answers(self, pixels: Iterable[Pixels]) -> Iterator[Answer]:
        """The layers' answer to each (H, W, 3) image, in order; a few images are taken ahead."""
        ...


class FrozenLayers:
    """Frozen layers and the runtime that answers for them.

    Args:
        network: the layers; shared by those who run them in different precisions.
        images: how many will be shown at least; for a few, preparing a runtime doesn't pay.
        precision: number format of the answers; None is float32. Others are for answers that are learnt from.
    """

    def __init__(
        self,
        network: "FrozenNetwork",
        limits: MemoryLimits,
        *,
        images: int,
        on_event: OnEvent,
        precision: torch.dtype | None = None,
    ) -> None:
        self.network = network
        self._on_event = on_event
        self._exact = _Torch(network, limits, None)
        self._torch = self._exact if precision is None else _Torch(network, limits, precision)
        self._makers = _makers(limits.device, images, precision)
        self._ready: Runtime | None = None
        self._is_checked = False
        self._is_exact = precision is None

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to images before they reach the layers."""
        return self.network.preprocessing

    @property
    def identity(self) -> str:
        """A hash of the layers and all their numbers."""
        return self.network.identity

    @property
    def runtime_name(self) -> str:
        """The name of the runtime that answers, or will unless it fails."""
        if self._ready is not None:
            return self._ready.name
        return self._makers[0][0] if self._makers else self._torch.name

    def prepare(self) -> None:
        """Get the runtime ready; else the first answer does."""
        while self._ready is None:
            if not self._makers:
                self._ready = self._torch
                self._is_checked = True
                return
            name, make = self._makers[0]
            try:
                self._ready = make(self.network)
            except Exception as error:  # a runtime may raise anything; there is another one
                self._give_up(name, f"it can't run these layers ({error})")

    def answers(self, pixels: Iterable[Pixels]) -> Iterator[Answer]:
        """As a runtime's; the first answers are compared with torch's."""
        stream = iter(pixels)
        if not self._is_checked:
            first = list(islice(stream, CHECKED_IMAGES))
            if not first:
                return
            self._check(first)
            stream = chain(first, stream)
        assert self._ready is not None
        yield from self._ready.answers(stream)

    def _check(self, pixels: list[Pixels]) -> None:
        self.prepare()
        while self._ready is not self._torch:
            assert self._ready is not None
            name, found = self._ready.name, np.stack(list(self._ready.answers(pixels)))
            if self._is_right(found, np.stack(list(self._exact.answers(pixels)))):
                break
            self._ready = None
            self._give_up(name, "its answers differ from torch's")
            self.prepare()
        self._is_checked = True

    def _is_right(self, found: Answer, expected: Answer) -> bool:
        # Never "not greater than": a difference that is not a number must not pass.
        difference = found - expected
        if self._is_exact:
            return bool(np.abs(difference).max() <= ALLOWED_DIFFERENCE * np.abs(expected).max())
        return bool(np.sqrt(np.mean(difference**2)) <= ALLOWED_ROUGHNESS * np.sqrt(np.mean(expected**2)))

    def _give_up(self, name: str, reason: str) -> None:
        self._makers.pop(0)
        self._on_event(Note(NoteTopic.RUNTIME, f"{name} is not used: {reason}"))


class FrozenNetwork:
    """Frozen layers, their hash, their ONNX file and OpenVINO's model of it, made once for all runtimes.

    Args:
        layers: ``(N, 3, H, W)`` normalised -> ``(N, ...)``; in evaluation mode each image's answer is independent.
        folder: where the ONNX file is kept for the next time; None keeps none.
    """

    def __init__(self, layers: nn.Module, preprocessing: Preprocessing, folder: Path | None) -> None:
        self.layers, self.preprocessing, self._folder = layers, preprocessing, folder
        self._content = b""

    @cached_property
    def identity(self) -> str:
        return identity_of(self.layers)

    def onnx(self) -> bytes:
        """The layers as an ONNX file that takes raw pixels; kept in the folder."""
        if not self._content:
            self._content = kept(self._file, lambda: _exported(self.layers, self.preprocessing))
        return self._content

    @cached_property
    def openvino(self) -> Any:  # Any: OpenVINO's models have no type of their own
        """OpenVINO's model of one image."""
        model = _openvino_core().read_model(self.onnx())
        shape = model.input(0).get_partial_shape()
        shape[0] = 1
        model.reshape(shape)
        return model

    @property
    def _file(self) -> Path | None:
        if self._folder is None:
            return None
        key = f"{self.identity} {self.preprocessing} {torch.__version__} {_FORMAT}"
        return self._folder / f"layers-{hashlib.sha256(key.encode()).hexdigest()[:32]}.onnx"


_FORMAT: Final = 1


class _FromPixels(nn.Module):
    """``(N, H, W, 3)`` uint8 values as float -> the layers' output; normalisation is inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("mean", torch.tensor(preprocessing.mean))
        self.register_buffer("std", torch.tensor(preprocessing.std))

    def forward(self, pixels: Tensor) -> Tensor:
        normal = (pixels.float() / 255 - self.mean) / self.std
        return self.layers(normal.permute(0, 3, 1, 2))  # type: ignore[no-any-return]  # a module's call is Any


def _exported(layers: nn.Module, preprocessing: Preprocessing) -> bytes:
    layers = at_input_size(layers, preprocessing.size)
    was_training, place = layers.training, next(iter(layers.parameters()), torch.empty(0)).device
    example = torch.zeros(1, preprocessing.size, preprocessing.size, 3, dtype=torch.uint8)
    modes = {module: module.training for module in layers.modules()}
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The newer exporter takes nine times as long (5.8 s to 0.6 s, torch 2.14) for the same answers.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)
        file = Path(folder) / "layers.onnx"
        try:
            torch.onnx.export(
                _FromPixels(layers, preprocessing).to(place).eval(),
                (example.to(place),),
                str(file),
                input_names=["pixels"],
                output_names=["answers"],
                dynamic_axes={"pixels": {0: "N"}, "answers": {0: "N"}},
                opset_version=OPSET,
                dynamo=False,
            )
        finally:
            for module, mode in modes.items():
                module.training = mode
            layers.training = was_training
        return file.read_bytes()


_Maker = tuple[str, Callable[[FrozenNetwork], Runtime]]


def _makers(device: torch.device, images: int, number_format: torch.dtype | None) -> list[_Maker]:
    """Names of the runtimes that are worth a try, the quickest first, and how each is made."""
    if device.type != "cpu" or images < WORTH_IT:
        return []
    found: list[_Maker] = []
    if find_spec("openvino") is not None:
        name = f"openvino {version('openvino')}"
        if number_format is torch.bfloat16:
            found.append((f"{name} bfloat16", partial(_OpenVino, is_rough=True)))
        found.append((name, _OpenVino))
    if find_spec("onnxruntime") is not None:
        found.append((f"onnxruntime {version('onnxruntime')}", _OnnxRuntime))
    return found


@cache
def _openvino_core() -> Any:  # Any: as above
    """The one that this process has, for ever.

    Each core gives its thread a stack for signal handlers and, when it goes, puts back the one that was there before.
    Of two that go in the order in which they came the second puts back what the first has freed, and the
    next signal kills the process.
    """
    # Never loaded: the model converter reports its use over the network, and nothing of ours may do that.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how a module is forbidden
    import openvino

    return openvino.Core()


class _OpenVino:
    """One image at a time on each core: the activations stay in its cache (measured: 4.4 ms of a core, 5.7 by 32)."""

    def __init__(self, layers: FrozenNetwork, *, is_rough: bool = False) -> None:
        self.name = f"openvino {version('openvino')}" + (" bfloat16" if is_rough else "")
        # float32 is set explicitly: on some processors OpenVINO would choose a lower precision by itself.
        precision = "bf16" if is_rough else "f32"
        settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
        compiled = _openvino_core().compile_model(layers.openvino, "CPU", settings)
        together = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) + 1
        self._requests = [compiled.create_infer_request() for _ in range(together)]

    def answers(self, pixels: Iterable[Pixels]) -> Iterator[Answer]:
        idle, busy = deque(self._requests), deque[Any]()  # Any: requests have no type of their own
        try:
            for one in pixels:
                if not idle:
                    yield _finished(busy, idle)
                request = idle.popleft()
                request.start_async({0: one[None]})
                busy.append(request)
            while busy:
                yield _finished(busy, idle)
        finally:
            for request in busy:
                request.wait()


def _finished(busy: "deque[Any]", idle: "deque[Any]") -> Answer:  # Any: as above
    request = busy.popleft()
    request.wait()
    answer: Answer = request.get_output_tensor(0).data[0].copy()
    idle.append(request)
    return answer


class _OnnxRuntime:
    def __init__(self, layers: FrozenNetwork) -> None:
        import onnxruntime

        self.name = f"onnxruntime {version('onnxruntime')}"
        self._session = onnxruntime.InferenceSession(layers.onnx(), providers=["CPUExecutionProvider"])

    def answers(self, pixels: Iterable[Pixels]) -> Iterator[Answer]:
        for one in pixels:
            yield self._session.run(["answers"], {"pixels": one[None]})[0][0]


class _Torch:
    """The layers as they are: on a GPU by batches; on a processor one by one, for equal bits in any company."""

    def __init__(self, network: FrozenNetwork, limits: MemoryLimits, number_format: torch.dtype | None) -> None:
        self.name = f"torch {torch.__version__} {limits.device.type}"
        if number_format is not None:
            self.name += f" {str(number_format).removeprefix('torch.')}"
        self._layers, self._preprocessing, self._limits = network.layers, network.preprocessing, limits
        self._format = number_format

    def answers(self, pixels: Iterable[Pixels]) -> Iterator[Answer]:
        stream = iter(pixels)
        at_once = 1 if self._limits.device.type == "cpu" else self._limits.eval_batch_size
        while batch := list(islice(stream, at_once)):
            yield from self._of(np.stack(batch))

    def _of(self, batch: Pixels) -> Iterator[Answer]:
        modes = {module: module.training for module in self._layers.modules()}
        self._layers.eval()
        given = torch.from_numpy(batch)
        if self._limits.device.type == "cuda":
            given = given.pin_memory()
        try:
            kind = self._limits.device.type
            with torch.no_grad(), torch.autocast(kind, dtype=self._format, enabled=self._format is not None):
                inputs = to_input(given, self._preprocessing, self._limits.device)
                found = self._limits.answers(self._layers, inputs).float().cpu().numpy()
        finally:
            for module, mode in modes.items():
                module.training = mode
        yield from found
