"""Answers for pictures that nobody has labelled."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from PIL import Image

from backend.counters import PREDICTION_SECONDS, PREDICTIONS
from backend.domain.confidence.settings import Verdict, sentence_of
from backend.domain.errors import LimitExceeded
from backend.imaging.drawn.drawing import is_drawn
from backend.imaging.errors import Refused
from backend.imaging.pool import WAIT_S, DecodingPool
from backend.imaging.preprocessing import Pixels, Preprocessing
from backend.imaging.tasks import network_view
from backend.imaging.thumbnails import copy_to_look_at
from backend.prediction.models import Model, ModelCache, ModelSource

MAX_FILES: Final = 64
MAX_FILE_BYTES: Final = 64_000_000
_BATCH: Final = 8


class TooManyFiles(LimitExceeded):
    """More pictures in one request than are answered at once."""

    code = "too-many-files"

    def __init__(self, files: int) -> None:
        super().__init__(
            f"{files} pictures came at once; up to {MAX_FILES} are answered in one go.",
            advice=f"Send them in groups of {MAX_FILES} or fewer.",
            details={"files": files, "allowed": MAX_FILES},
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one picture.

    Attributes:
        probabilities: every class, the likeliest first.
        strangeness: how unlike the training pictures it is; None where nobody has chosen a limit for it.
        drawn: of a sound or a movement, a JPEG of what the model has seen.
    """

    file: str
    predicted: str
    confidence: float
    probabilities: dict[str, float]
    verdict: Verdict
    strangeness: float | None = None
    drawn: bytes | None = None

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return sentence_of(self.verdict, list(self.probabilities.items()))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one file got no answer."""

    file: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answers:
    """One entry per file, in the order in which they came; ``milliseconds`` for all of them together."""

    items: tuple[Answer | Refusal, ...]
    milliseconds: float


def predict(
    cache: ModelCache, decoders: DecodingPool, source: ModelSource, files: Iterable[tuple[str, bytes]]
) -> Answers:
    """Ask a model about files; one that isn't a picture is answered with its reason and spoils nothing.

    Raises:
        ModelMissing, ModelDamaged: the model can't be loaded.
        DecodersBusy, DecodersDown: no picture can be read at the moment.
    """
    model = cache.model(source)
    started = time.perf_counter()
    items: list[Answer | Refusal] = []
    for group in _groups(_prepared(decoders, source, files)):
        views = [view.pixels for view in group if not isinstance(view, Refusal)]
        rows = iter(answers_of(model, source, views) if views else ())
        for view in group:
            items.append(view if isinstance(view, Refusal) else _answer(view, source, *next(rows)))
    seconds = time.perf_counter() - started
    PREDICTION_SECONDS.observe(seconds)
    refused = sum(isinstance(item, Refusal) for item in items)
    PREDICTIONS.labels("refused").inc(refused)
    PREDICTIONS.labels("answered").inc(len(items) - refused)
    return Answers(tuple(items), seconds * 1000)


def answers_of(model: Model, source: ModelSource, views: list[Pixels]) -> list[tuple[list[float], float | None]]:
    """For each view the K probabilities, with the temperature, and its strangeness; None where it isn't measured."""
    if source.measure is None:
        calibrated = source.confidence.calibrated(model.probabilities(views))
        return [(row, None) for row in calibrated.tolist()]
    plain, features = model.probabilities_and_features(views)
    calibrated = source.confidence.calibrated(plain)
    return list(zip(calibrated.tolist(), source.measure.of(features).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _View:
    """What the model sees of a file."""

    file: str
    pixels: Pixels
    is_drawn: bool


def _groups(prepared: Iterator[_View | Refusal]) -> Iterator[list[_View | Refusal]]:
    while group := list(islice(prepared, _BATCH)):
        yield group


def _prepared(
    decoders: DecodingPool, source: ModelSource, files: Iterable[tuple[str, bytes]]
) -> Iterator[_View | Refusal]:
    def call(file: tuple[str, bytes]) -> tuple[Callable[..., Pixels], tuple[bytes, Preprocessing]] | None:
        _, content = file
        return None if len(content) > MAX_FILE_BYTES else (network_view, (content, source.preprocessing))

    for (name, content), view in decoders.run_all(files, call, wait_s=WAIT_S):
        match view:
            case None:
                allowed = MAX_FILE_BYTES // 1_000_000
                yield Refusal(name, "file-too-large", f"The file is larger than the {allowed} MB allowed.")
            case Refused():
                yield Refusal(name, view.code, view.sentence)
            case _:
                yield _View(name, view, is_drawn(content))


def _answer(view: _View, source: ModelSource, probabilities: list[float], strangeness: float | None) -> Answer:
    ranked = sorted(zip(source.classes, probabilities, strict=True), key=lambda pair: -pair[1])
    verdict = source.confidence.verdict(ranked, strangeness)
    drawn = copy_to_look_at(Image.fromarray(view.pixels)) if view.is_drawn else None
    return Answer(view.file, ranked[0][0], ranked[0][1], dict(ranked), verdict, strangeness, drawn)
