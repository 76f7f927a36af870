"""How fast this machine is at each kind of work: what trainings took here, or a short test of it.

What the cursor of a training measures is stored (``backend.training.forecast.speed_repository``). ``Rates`` leads
from there to what the next training takes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import median
from typing import Final

from backend.domain.catalogue import is_known
from backend.domain.training import Precision, TrainingConfig
from backend.training.forecast.cursor import Measurement
from backend.training.forecast.fit import fit
from backend.training.forecast.work import (
    LEARNING,
    USUAL,
    Work,
    WorkItem,
    relative_cost,
)

_OF_NETWORK: Final = frozenset({Work.FEATURES, Work.BELOW, Work.NORMS, Work.MOVE, Work.ANSWER})
"""Work whose time depends on the network and grows with its pictures' area."""
_BY_FORMAT: Final = frozenset({Work.FEATURES, Work.BELOW, Work.NORMS, Work.MOVE})
"""Work whose time depends on the number format."""
_ONCE: Final = frozenset({Work.START, Work.PREPARE, Work.EXPORT})
"""Work that is done as a whole, so that it has no cost for each unit."""
_LATEST: Final = 5
"""So many runs, the latest, say how long work takes."""
_MOST_SLOWNESS: Final = 5.0
"""What doesn't grow with the pictures takes at most so many times longer than on the usual machine."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured once: ``amount`` units of work took ``seconds``.

    Attributes:
        seconds: without those that other programs took.
        architecture: the network's; None where the work has none.
        size: side of the pictures.
        run_id: the training that was measured; None is a test of the machine.
    """

    work: Work
    architecture: str | None
    size: int
    amount: float
    seconds: float
    run_id: str | None = None

    @property
    def of_one(self) -> float:
        """Seconds that a unit took."""
        return self.seconds / self.amount


def speeds_of(measurements: Iterable[Measurement], config: TrainingConfig, run_id: str | None) -> list[Speed]:
    """What the finished work items of a training tell about this machine."""
    found = []
    for one in measurements:
        item = one.item
        # In a number format of somebody's own choice it says nothing of what others will take.
        is_usual = item.work not in _BY_FORMAT or config.precision is Precision.AUTO
        if one.is_typical and is_usual and not item.is_search:
            architecture = None if item.work is Work.READ else config.architecture
            found.append(Speed(item.work, architecture, item.size, one.amount, one.quiet_seconds, run_id))
    return found


class Source(IntEnum):
    """What an estimate rests on, the best first."""

    RUNS = 0
    """Trainings of this network here."""
    TEST = 1
    """A test of this machine with this network."""
    OTHERS = 2
    """Other networks here, by what they cost against each other."""
    USUAL = 3
    """What it takes elsewhere, by how fast this machine reads pictures."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a work item of a training is thought to take, and why; ``runs``: ids of the trainings it rests on."""

    item: WorkItem
    seconds: float
    source: Source
    runs: frozenset[str] = frozenset()


class Rates:
    """What was measured on one machine, the latest first."""

    def __init__(self, speeds: Iterable[Speed]) -> None:
        self._speeds = [speed for speed in speeds if speed.architecture is None or is_known(speed.architecture)]
        self._tests = [speed for speed in self._speeds if speed.run_id is None]

    def estimate(self, item: WorkItem, architecture: str) -> Estimate | None:
        """How long a work item of a training of that network takes; None where nothing can be said."""
        same = [speed for speed in self._speeds if speed.work is item.work]
        mine = [speed for speed in same if speed.architecture in (architecture, None)]
        for source, speeds in (
            (Source.RUNS, [speed for speed in mine if speed.run_id is not None]),
            (Source.TEST, [speed for speed in mine if speed.run_id is None]),
            (Source.OTHERS, [] if item.work is Work.PREPARE else same),
        ):
            if speeds:
                return self._of(item, architecture, source, _nearest(speeds, item.size))
        if item.work in _OF_NETWORK:
            others = _alike_to(self._speeds, item.work, architecture)
            return self._of(item, architecture, Source.OTHERS, others) if others else None
        return self._usual(item) if self._speeds else None

    def _of(self, item: WorkItem, architecture: str, source: Source, speeds: Sequence[Speed]) -> Estimate:
        points = _points(item, architecture, speeds)
        runs = frozenset(speed.run_id for speed in speeds if speed.run_id is not None)
        if item.work in _ONCE:
            taken = [seconds / amount for amount, seconds in points]
            # What was once made ready is kept; only the first time is long.
            of_one = min(taken) if item.work is Work.PREPARE else median(taken)
            return Estimate(item, of_one * item.amount, source, runs)
        return Estimate(item, fit(points, self._tested(item, architecture)).seconds(item.amount), source, runs)

    def _tested(self, item: WorkItem, architecture: str) -> float | None:
        """What a unit took in the test of this machine; None where that is unknown."""
        if item.work is Work.HEAD:  # the test leaves the last layers out, as a unit of their work is too short
            return USUAL[Work.HEAD] * self._slowness
        if item.work is Work.READ:
            found = [speed for speed in self._tests if speed.work is Work.READ]
        else:
            found = _alike_to(self._tests, item.work, architecture) if item.work in _OF_NETWORK else []
        if not found:
            return None
        return median(seconds / amount for amount, seconds in _points(item, architecture, found))

    def _usual(self, item: WorkItem) -> Estimate:
        return Estimate(item, USUAL[item.work] * item.amount * self._slowness, Source.USUAL)

    @property
    def _slowness(self) -> float:
        """How many times longer this machine takes than the usual one, by the pictures it has read."""
        read = [speed for speed in self._speeds if speed.work is Work.READ]
        if not read:
            return 1.0
        tested = [speed for speed in read if speed.run_id is None]
        of_one = fit([(speed.amount, speed.seconds) for speed in (tested or read)[:_LATEST]]).of_one
        return min(max(of_one / USUAL[Work.READ], 1 / _MOST_SLOWNESS), _MOST_SLOWNESS)


def _points(item: WorkItem, architecture: str, speeds: Sequence[Speed]) -> list[tuple[float, float]]:
    """(amount in units of the item, seconds) of the latest runs, for each run and amount the middle one.

    So a long run counts no more than a short one.
    """
    found: dict[str, dict[float, list[float]]] = {}
    for number, speed in enumerate(speeds):
        amount = speed.amount / _times_as_much(item, architecture, speed)
        of_run = found.setdefault(speed.run_id or f"test {number}", {})
        of_run.setdefault(round(amount, 6), []).append(speed.seconds)
    latest = list(found.values())[:_LATEST]
    return [(amount, median(seconds)) for of_run in latest for amount, seconds in of_run.items()]


def _alike_to(speeds: Sequence[Speed], work: Work, architecture: str) -> list[Speed]:
    """What was measured of work nearest to this one: of the same network where there is any."""
    others = [speed for speed in speeds if speed.work in _OF_NETWORK]
    own = [speed for speed in others if speed.architecture == architecture]
    return _alike(own or others, work) if others else []


def _nearest(speeds: Sequence[Speed], size: int) -> list[Speed]:
    """Those with pictures most like these in size, the latest first."""
    nearest = min((speed.size for speed in speeds), key=lambda other: abs(other - size))
    return [speed for speed in speeds if speed.size == nearest]


def _alike(speeds: Sequence[Speed], work: Work) -> list[Speed]:
    """Those of the kind that is nearest to this work: that learns where it learns, and doesn't where it doesn't."""
    learns = work in LEARNING
    kind = min((speed.work for speed in speeds), key=lambda other: ((other in LEARNING) != learns, other))
    return [speed for speed in speeds if speed.work is kind]


def _times_as_much(item: WorkItem, architecture: str, speed: Speed) -> float:
    """What a unit of the item costs against one of what was measured."""
    if item.work not in _OF_NETWORK:
        return 1.0
    assert speed.architecture is not None
    costs = relative_cost(architecture, item.work) / relative_cost(speed.architecture, speed.work)
    return costs * (item.size / speed.size) ** 2
