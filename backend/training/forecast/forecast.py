"""How long a training will take and how much memory it needs, said before it starts.

A training is taken apart (``backend.training.forecast.work``), each piece gets the time that
such pieces took on this machine, and the range is the wider, the less that rests on.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.memory import memory_needed
from backend.domain.training import DeviceWanted, TrainingConfig
from backend.ledger.job import JobKind
from backend.ledger.queries import Jobs
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Estimate, Rates, Source
from backend.training.forecast.work import Counts, Work, WorkItem, pieces
from backend.training.repository import RunRepository

HEARD_WITHIN_S: Final = 60.0
_MANY_RUNS: Final = 3
_SPREAD: Final = {Source.RUNS: 0.2, Source.TEST: 0.3, Source.OTHERS: 0.33, Source.USUAL: 0.33}
"""Share by which a time may be off, by what it rests on; few runs count as a test."""
_ASIDE: Final = frozenset({Work.START, Work.PREPARE, Work.EXPORT})
"""Work that a forecast isn't said to rest on."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds at the least and most; None where nothing is known. ``basis`` says what they rest on."""

    seconds_low: float | None
    seconds_high: float | None
    memory_bytes: int | None
    basis: str


@dataclass(frozen=True, slots=True)
class Timetable:
    """The pieces of a training, first to last, each with the seconds that it is thought to take."""

    estimates: tuple[Estimate, ...]

    @property
    def pieces(self) -> list[tuple[WorkItem, float]]:
        """Each piece with its seconds."""
        return [(one.piece, one.seconds) for one in self.estimates]


def forecast(
    session: Session, config: TrainingConfig, counts: Mapping[str, Any], *, version_id: str | None = None
) -> Forecast:
    """What a training of ``config`` on a version with these ``counts`` will take.

    With ``version_id`` it knows what an earlier training on that version has left on disk.
    """
    device = likely_device(session, config.device)
    memory = memory_needed(config, device, images=Counts.of(counts).train)
    found = timetable(session, config, counts, version_id=version_id)
    if found is None:
        return Forecast(None, None, memory, "unknown, first run")
    low = sum(one.seconds * (1 - _spread(one)) for one in found.estimates)
    high = sum(one.seconds * (1 + _spread(one)) for one in found.estimates)
    return Forecast(low, high, memory, _basis(found.estimates))


def timetable(
    session: Session, config: TrainingConfig, counts: Mapping[str, Any], *, version_id: str | None = None
) -> Timetable | None:
    """The training taken apart, with times; None where nothing was ever measured."""
    kept = _kept_stages(session, config, version_id) if version_id else frozenset[int]()
    rates = Rates(Speeds(session).latest(likely_device(session, config.device)))
    estimates = [
        rates.estimate(piece, config.architecture) for piece in pieces(config, Counts.of(counts), kept_stages=kept)
    ]
    known = tuple(one for one in estimates if one is not None)
    return Timetable(known) if len(known) == len(estimates) else None


def likely_device(session: Session, wanted: DeviceWanted) -> str:
    """The kind of device that a training will run on: ``cpu`` or ``cuda``."""
    if wanted is not DeviceWanted.AUTO:
        return wanted.value
    workers = [row for row in Jobs(session).workers(HEARD_WITHIN_S) if JobKind.TRAIN in row.kinds.split(",")]
    return "cuda" if any((row.device or "").startswith("cuda") for row in workers) else "cpu"


def _spread(estimate: Estimate) -> float:
    if estimate.source is Source.RUNS and len(estimate.runs) < _MANY_RUNS:
        return _SPREAD[Source.TEST]
    return _SPREAD[estimate.source]


def _basis(estimates: Sequence[Estimate]) -> str:
    """What the piece that takes longest rests on; the start and the end are left aside."""
    main = [one for one in estimates if one.piece.work not in _ASIDE] or estimates
    longest = max(main, key=lambda one: one.seconds)
    runs = len(longest.runs)
    if not runs:
        return "a short test of this machine"
    kind = "with this architecture" if longest.source is Source.RUNS else "of other kinds"
    return f"{runs} earlier run{'s' if runs > 1 else ''} {kind} here"


def _kept_stages(session: Session, config: TrainingConfig, version_id: str) -> Set[int]:
    """Stages whose frozen network has said all it is asked for in an earlier training on the same pictures."""
    earlier = RunRepository(session).finished_configs(version_id, config.architecture)
    known: dict[object, int] = {}
    for one in earlier:
        for asked, views in _asked_of_the_backbone(TrainingConfig.model_validate(one)).values():
            known[asked] = max(views, known.get(asked, 0))
    wanted = _asked_of_the_backbone(config)
    return {number for number, (asked, views) in wanted.items() if known.get(asked, 0) >= views}


def _asked_of_the_backbone(config: TrainingConfig) -> dict[int, tuple[object, int]]:
    """By stage, what a frozen network's answers depend on and how many views; only stages before which none moved."""
    found: dict[int, tuple[object, int]] = {}
    for number, stage in enumerate(config.stages):
        if not stage.features_are_constant:
            break
        size = stage.image_size or config.image_size
        asked = (config.weights, size, config.crop_share, config.augmentation, config.seed)
        found[number] = (asked, min(stage.views, stage.epochs))
    return found
