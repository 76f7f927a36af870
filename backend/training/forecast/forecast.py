"""How long a training will take and how much memory it needs, before it starts.

A training is taken apart (``backend.training.forecast.work``), each item gets the time that
such work took on this machine, and the range is the wider, the less that rests on.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.early_end import fewest_epochs
from backend.domain.json import Json
from backend.domain.memory import memory_needed
from backend.domain.training import DeviceWanted, Stage, TrainingConfig, TrainingRequest, resolve
from backend.ledger.job import JobKind
from backend.ledger.queries import Jobs
from backend.tables.ledger import WorkerRow
from backend.training.forecast.load import QUIET, Load
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Estimate, Rates, Source
from backend.training.forecast.work import Counts, Work, WorkItem, usual_seconds, work_items
from backend.training.repository import RunRepository

HEARD_WITHIN_S: Final = 60.0
_MANY_RUNS: Final = 3
_SPREAD: Final = {Source.RUNS: 0.2, Source.TEST: 0.3, Source.OTHERS: 0.33, Source.USUAL: 0.33}
"""Share by which a time may be off, by what it rests on; few runs count as a test."""
_QUICKER_THAN_USUAL: Final = 6.0
"""A step of all layers takes 77 ms an image of 128 pixels on the usual processor, 13 on one with bfloat16."""
_ASIDE: Final = frozenset({Work.START, Work.PREPARE, Work.EXPORT})
"""Work that isn't named as the basis of a forecast."""
_NOT_IN_A_SEARCH: Final = frozenset({Work.ANSWER, Work.EXPORT})
"""Work of a training that a search for a learning rate leaves out."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds at the least and most; None where nothing is known.

    Attributes:
        basis: what the times rest on, in words.
        is_prepared: an earlier training has left the features of all its frozen stages on disk.
        first_model_seconds: at the most, until the first of several stages has left a model; None for a single one.
    """

    seconds_low: float | None
    seconds_high: float | None
    memory_bytes: int | None
    basis: str
    is_prepared: bool = False
    first_model_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Timetable:
    """The work items of a training's stages, first to last, each with the seconds that it is thought to take."""

    estimates: tuple[Estimate, ...]
    stages: Sequence[Stage] = ()

    @property
    def items(self) -> list[tuple[WorkItem, float]]:
        """Each item with its seconds."""
        return [(one.item, one.seconds) for one in self.estimates]

    @property
    def seconds(self) -> float:
        """Seconds of all items together."""
        return sum(one.seconds for one in self.estimates)

    def until_model(self) -> float:
        """Seconds at the most until the first stage has left a model."""
        last = next((number for number, one in enumerate(self.estimates) if one.item.work is Work.EXPORT), None)
        return sum(one.seconds * (1 + _spread(one)) for one in self.estimates[: None if last is None else last + 1])

    def range(self) -> tuple[float, float]:
        """Seconds at the least and most; at the least, where a stage that helps too little ends early."""
        return (
            sum(one.seconds * (1 - _spread(one)) for one in self.estimates if not self._may_be_left_out(one.item)),
            sum(one.seconds * (1 + _spread(one)) for one in self.estimates),
        )

    def _may_be_left_out(self, item: WorkItem) -> bool:
        if item.stage is None or item.epoch is None or item.stage >= len(self.stages):
            return False
        return item.epoch >= fewest_epochs(self.stages[item.stage])


class Forecaster:
    """Forecasts trainings on pictures with these ``counts``; what they rest on is read once, when it is first needed.

    With ``version_id`` it knows what earlier trainings on that version have left on disk.
    """

    def __init__(self, session: Session, counts: Mapping[str, Json], version_id: str | None = None) -> None:
        self._session, self._version_id = session, version_id
        self.counts = Counts.of(counts)
        self._rates: dict[str, Rates] = {}

    @cached_property
    def workers(self) -> list[WorkerRow]:
        """Workers that are alive and train."""
        return [row for row in Jobs(self._session).workers(HEARD_WITHIN_S) if JobKind.TRAIN in row.kinds.split(",")]

    @property
    def has_gpu(self) -> bool:
        """Whether a worker with a graphics card is alive."""
        return any((row.device or "").startswith(DeviceWanted.CUDA) for row in self.workers)

    def device(self, wanted: DeviceWanted) -> str:
        """The kind of device that a training will run on: ``cpu`` or ``cuda``."""
        if wanted is not DeviceWanted.AUTO:
            return wanted.value
        return "cuda" if self.has_gpu else "cpu"

    def load(self, device: str) -> Load:
        """What other programs do on the machine that will train, the least loaded where there are several."""
        if device != DeviceWanted.CPU:
            return QUIET
        known = [
            Load(row.other_threads, row.processors)
            for row in self.workers
            if row.processors and row.other_threads is not None and (row.device or "cpu").startswith(device)
        ]
        return min(known, key=Load.slowdown, default=QUIET)

    def forecast(self, config: TrainingConfig, *, is_fresh: bool = True) -> Forecast:
        """What a training will take. ``is_fresh``: it begins with the pretrained weights, not with a trained model."""
        memory = memory_needed(config, self.device(config.device), images=self.counts.train)
        found = self.timetable(config, is_fresh=is_fresh)
        if found is None:
            return Forecast(None, None, memory, "unknown, first run")
        low, high = found.range()
        kept = self._kept_stages(config) if is_fresh else frozenset[int]()
        wanted = _asked_of_the_backbone(config)
        is_prepared = bool(wanted) and kept >= wanted.keys()
        until_model = found.until_model() if len(config.stages) > 1 else None
        basis = _basis(found.estimates) + self.load(self.device(config.device)).words
        return Forecast(low, high, memory, basis, is_prepared, until_model)

    def timetable(self, config: TrainingConfig, *, is_fresh: bool = True) -> Timetable | None:
        """The training taken apart, with times; None where nothing was ever measured."""
        kept = self._kept_stages(config) if is_fresh else frozenset[int]()
        return self._timed(config, work_items(config, self.counts, kept_stages=kept))

    def seconds(self, config: TrainingConfig, *, is_fresh: bool = True) -> float:
        """Seconds to plan a training with; those of a quick processor where nothing was ever measured here.

        A training ends within its time limit on a slower one too, but never gets more epochs than were planned.
        """
        found = self.timetable(config, is_fresh=is_fresh)
        if found is not None:
            return found.seconds
        usual = sum(usual_seconds(item, config.architecture) for item in work_items(config, self.counts))
        return usual / _QUICKER_THAN_USUAL

    def search(self, config: TrainingConfig, *, is_fresh: bool = True) -> Timetable | None:
        """A search for the learning rate of the one stage of ``config``, taken apart; None where nothing is known."""
        kept = self._kept_stages(config) if is_fresh else frozenset[int]()
        items = work_items(config, self.counts, kept_stages=kept)
        return self._timed(config, [one for one in items if one.epoch is None and one.work not in _NOT_IN_A_SEARCH])

    def _timed(self, config: TrainingConfig, items: Iterable[WorkItem]) -> Timetable | None:
        device = self.device(config.device)
        rates, load = self._rates_of(device), self.load(device)
        estimates = [rates.estimate(item, config.architecture) for item in items]
        known = tuple(
            replace(one, seconds=one.seconds * load.slowdown(one.item.work)) for one in estimates if one is not None
        )
        return Timetable(known, config.stages) if len(known) == len(estimates) else None

    def _rates_of(self, device: str) -> Rates:
        if device not in self._rates:
            self._rates[device] = Rates(Speeds(self._session).latest(device))
        return self._rates[device]

    @cached_property
    def _known(self) -> dict[object, int]:
        """What frozen layers were asked when the pictures arrived and in earlier trainings, with how many views."""
        if self._version_id is None:
            return {}
        is_examined, finished = RunRepository(self._session).prepared(self._version_id)
        known: dict[object, int] = {_plain_view(resolve(TrainingRequest()), None): 1} if is_examined else {}
        for config in finished:
            for asked, views in _asked_of_the_backbone(TrainingConfig.model_validate(config)).values():
                known[asked] = max(views, known.get(asked, 0))
        return known

    def _kept_stages(self, config: TrainingConfig) -> Set[int]:
        """Stages whose frozen network has computed all features: for a training, or when the pictures arrived."""
        wanted = _asked_of_the_backbone(config)
        return {number for number, (asked, views) in wanted.items() if self._known.get(asked, 0) >= views}


def timetable(
    session: Session, config: TrainingConfig, counts: Mapping[str, Any], *, version_id: str | None = None
) -> Timetable | None:
    """One training taken apart, with times; None where nothing was ever measured."""
    return Forecaster(session, counts, version_id).timetable(config)


def _spread(estimate: Estimate) -> float:
    if estimate.source is Source.RUNS and len(estimate.runs) < _MANY_RUNS:
        return _SPREAD[Source.TEST]
    return _SPREAD[estimate.source]


def _basis(estimates: Sequence[Estimate]) -> str:
    """What the item that takes longest rests on; the start and the end are left aside."""
    main = [one for one in estimates if one.item.work not in _ASIDE] or estimates
    longest = max(main, key=lambda one: one.seconds)
    runs = len(longest.runs)
    if not runs:
        return "a short test of this machine"
    if longest.source is Source.RUNS:
        return "an earlier run of this model here" if runs == 1 else f"{runs} earlier runs of this model here"
    return "a different model's run here" if runs == 1 else f"{runs} runs of different models here"


def _asked_of_the_backbone(config: TrainingConfig) -> dict[int, tuple[object, int]]:
    """By stage, what its features depend on, and its views; only stages before which the backbone is constant."""
    found: dict[int, tuple[object, int]] = {}
    for number, stage in enumerate(config.stages):
        if not stage.features_are_constant:
            break
        asked = _plain_view(config, stage.image_size)
        if not stage.sees_plain_view:
            # Each stage draws views of its own.
            asked = (*asked, number, config.augmentation, config.seed)
        found[number] = (asked, stage.stored_views)
    return found


def _plain_view(config: TrainingConfig, image_size: int | None) -> tuple[object, ...]:
    return config.architecture, config.weights, image_size or config.image_size, config.crop_share
