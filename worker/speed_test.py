"""How fast this machine reads pictures, answers and learns, found out in a few seconds.

Two networks of the catalogue with drawn weights are run by the engine's own means; what
is returned are speeds as trainings record them, without the time that other programs took.
"""

import io
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from backend.domain.events import Event
from backend.domain.training import Augmentation, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.imaging.decoding import decode
from backend.imaging.preprocessing import Pixels, Preprocessing, evaluation_view, random_params, resized, training_view
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import PIXELS_AT, Work
from worker.engine.data.gpu_views import makes_views, source_crop, stacked, warp_batch
from worker.engine.data.source import preprocessing_of, to_input
from worker.engine.frozen.runtimes import WORTH_IT, FrozenLayers, FrozenNetwork
from worker.engine.hardware import devices
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop.depthwise import fast_depthwise
from worker.engine.network import architectures
from worker.engine.network.optim import build_optimizer, set_learning, set_training_mode
from worker.processors import Use, our_thread_times, processors

TRIED: Final = ("efficientnet-lite0", "resnet18")
"""One of each family; what others take follows from these."""
_PICTURES: Final = 24
_BATCH: Final = 16
_CLASSES: Final = 10
SMALL: Final = 128
"""Side of the pictures in the second stage of ``recommended``; small ones cost more than their share of pixels."""
_JUDGED_OF: Final = 5
"""One of so many pictures of a training judges it, by default."""
_TIMES: Final = 2
"""The better of so many counts."""


def measured(device: str, *, size: int = PIXELS_AT, small: int = SMALL, tried: Sequence[str] = TRIED) -> list[Speed]:
    """How fast this machine is with pictures of that size, and the first network with small ones as well."""
    files = [_picture(number) for number in range(_PICTURES)]
    steps = preprocessing_of(_config(tried[0], size))
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        whole = list(pool.map(lambda file: resized(decode(file)[1], steps), files))
        reading = _quiet_seconds(lambda: list(pool.map(lambda file: resized(decode(file)[1], steps), files)))
    speeds = [Speed(Work.READ, None, size, _PICTURES, reading)]
    for architecture in tried:
        speeds += _of_all_layers(_config(architecture, size), whole[:_BATCH], devices.choose(device))
        speeds += _of_frozen_layers(_config(architecture, size), whole, devices.choose(device))
    speeds += _of_all_layers(_config(tried[0], small), whole[:_BATCH], devices.choose(device))
    return speeds


def _config(architecture: str, size: int) -> TrainingConfig:
    stage = StageRequest(freeze=False, epochs=1, train_batch_norm=True)
    return resolve(TrainingRequest(architecture=architecture, image_size=size, stages=(stage,)))


def _of_all_layers(config: TrainingConfig, images: list[Image.Image], device: torch.device) -> list[Speed]:
    """What answering and learning take, the views of the pictures included."""
    steps = preprocessing_of(config)
    stage, number = config.stages[0], len(images)
    model = devices.to_device(architectures.build(config.architecture, _CLASSES, last_layer_bias=False, seed=0), device)
    set_learning(model, stage)
    optimizer = build_optimizer(model, stage, config)
    targets = torch.arange(number, device=device) % _CLASSES
    autocast = devices.autocast_type(config.precision, device)

    def run(pixels: Tensor, precision: torch.dtype | None) -> Tensor:
        with (
            torch.autocast(device.type, dtype=precision, enabled=precision is not None),
            fast_depthwise(device, precision),
        ):
            return model(to_input(pixels, steps, device)).float()  # type: ignore[no-any-return]  # a module's call is Any

    def answer() -> None:
        # On a processor, what judges is computed in float32.
        precision = None if device.type == "cpu" else autocast
        with torch.no_grad():
            run(_seen(images, lambda image: evaluation_view(image, steps)), precision).cpu()

    def learn() -> None:
        loss = F.cross_entropy(run(_random_views(images, steps, config.augmentation, device), autocast), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    model.eval()
    answering = _quiet_seconds(answer)
    set_training_mode(model, stage)
    learning = _quiet_seconds(learn)
    return [
        Speed(work, config.architecture, config.image_size, number, seconds)
        for work, seconds in ((Work.ANSWER, answering), (Work.MOVE, learning))
    ]


def _of_frozen_layers(config: TrainingConfig, images: list[Image.Image], device: torch.device) -> list[Speed]:
    """What making a frozen network ready takes, and showing it views of pictures."""
    steps = preprocessing_of(config)
    model = architectures.build(config.architecture, _CLASSES, last_layer_bias=False, seed=0)
    network = FrozenNetwork(nn.Sequential(devices.to_device(model, device).backbone, model.pool), steps, None)
    limits, precision = MemoryLimits(_BATCH, device), devices.autocast_type(config.precision, device)
    judging = FrozenLayers(network, limits, images=WORTH_IT, on_event=_ignore)
    learnt_from = FrozenLayers(network, limits, images=WORTH_IT, on_event=_ignore, precision=precision)
    random = np.random.default_rng(0)
    judged = len(images) // _JUDGED_OF

    def show() -> None:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            views = pool.map(lambda image: training_view(image, steps, config.augmentation, random), images)
            for answering, some in ((judging, islice(views, judged)), (learnt_from, views)):
                deque(answering.answers(some), maxlen=0)

    first = _quiet_time(show)
    showing = _quiet_seconds(show)
    return [
        Speed(Work.PREPARE, config.architecture, config.image_size, 1, max(1e-3, first - showing)),
        Speed(Work.FEATURES, config.architecture, config.image_size, len(images), showing),
    ]


def _ignore(event: Event) -> None:
    pass


def _random_views(
    images: list[Image.Image], steps: Preprocessing, augmentation: Augmentation, device: torch.device
) -> Tensor:
    """Made where a training makes them."""
    random = np.random.default_rng(0)
    if makes_views(device):
        looks = [random_params(image.size, steps, augmentation, random) for image in images]
        pixels, how = stacked([source_crop(*one, steps.size) for one in zip(images, looks, strict=True)])
        return warp_batch(pixels.to(device), how.to(device))
    return _seen(images, lambda image: training_view(image, steps, augmentation, random))


def _seen(images: list[Image.Image], view: Callable[[Image.Image], Pixels]) -> Tensor:
    return torch.from_numpy(np.stack([view(image) for image in images]))


def _quiet_seconds(work: Callable[[], object]) -> float:
    """Seconds that it takes where nothing else is in the way; the first time warms up."""
    work()
    return min(_quiet_time(work) for _ in range(_TIMES))


def _quiet_time(work: Callable[[], object]) -> float:
    before, began = our_thread_times(), time.perf_counter()
    work()
    taken = time.perf_counter() - began
    return taken * Use.between(before, our_thread_times()).quiet_share(taken, processors())


def _picture(number: int) -> bytes:
    """A JPEG of 500 x 375, about as detailed as a photograph."""
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 255, (94, 125, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((500, 375)).save(file, "JPEG", quality=90)
    return file.getvalue()
