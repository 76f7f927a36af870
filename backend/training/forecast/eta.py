"""How far a run is and how long it will still take, from what it has told so far.

One bar, weighted by the seconds that each piece of the run was thought to take before
it began, and not by the number of its epochs: where a backbone stands still, showing
it the pictures takes nearly all the time. No time is given before it rests on
something of this run: on an epoch, on twenty steps, or on a tenth of a pass through the
frozen backbone. It may grow; it never pretends.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from backend.domain.events import (
    EpochFinished,
    Event,
    PhaseProgress,
    PhaseStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    ValidationProgress,
)
from backend.domain.training import TrainingConfig
from backend.training.forecast.work import LEARNING, Counts, Work, WorkItem, pieces, usual_seconds

_LAST_STEPS: Final = 20
_LAST_PIECES: Final = 3
_ENOUGH_OF_A_PASS: Final = 0.1
_HEAVY: Final = frozenset({Work.FEATURES, Work.BELOW, Work.NORMS, Work.MOVE})
"""Work that tells how this run goes; the rest is over too soon, or is done once."""
_APART: Final = frozenset({Work.START, Work.READ, Work.PREPARE, Work.EXPORT})
"""Work whose time says nothing of how fast the network is, nor the other way round."""
_NEVER_DONE: Final = 0.99
"""All steps may be done and the result still can't be opened; 1 is for a run that has succeeded."""
_SOME: Final = Counts(100, 25, 0)

Seconds = Sequence[tuple[WorkItem, float]]
"""A run's pieces, first to last, each with the seconds that it is thought to take."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is. ``progress``: share of its time in [0, 1]; ``eta_s`` is None where nothing is known yet."""

    stage: int | None = None
    epoch: int | None = None
    progress: float = 0.0
    eta_s: float | None = None


def usual_timetable(config: TrainingConfig, counts: Counts = _SOME) -> Seconds:
    """A run's pieces with what they take on a machine that nobody has measured: good as weights only."""
    return [(piece, usual_seconds(piece, config.architecture)) for piece in pieces(config, counts)]


class EtaEstimator:
    """Follows a run's events from piece to piece; what was passed over is done."""

    def __init__(
        self,
        config: TrainingConfig,
        timetable: Seconds | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stages, self._monotonic = config.stages, monotonic
        self._timetable = list(timetable or usual_timetable(config))
        self._stage: int | None = None
        self._epoch = 0
        self._place = 0
        self._share = self._share_at_first = 0.0
        self._steps_left = 0
        self._step_times: deque[float] = deque(maxlen=_LAST_STEPS)
        self._ratios: dict[Work, deque[float]] = {}
        self._came_at = self._stepped_at = monotonic()

    def see(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case PhaseStarted(phase="data"):
                self._go_to({Work.READ})
            case PhaseStarted(phase="features"):
                self._go_to({Work.PREPARE})
            case PhaseStarted(phase="activations"):
                self._go_to({Work.BELOW})
            case PhaseStarted(phase="evaluation"):
                self._go_to({Work.ANSWER}, epoch=None)
            case PhaseStarted(phase="export"):
                self._go_to({Work.EXPORT}, epoch=None)
            case PhaseProgress():
                self._progress(event)
            case StageStarted():
                self._begin_stage(event)
            case StepFinished():
                self._step(event)
            case ValidationProgress():
                if self._go_to({Work.ANSWER}, epoch=event.epoch):
                    self._share = event.done / event.total
            case EpochFinished():
                self._epoch = event.epoch + 1
                self._pass(lambda piece: piece.stage == event.stage and piece.epoch == event.epoch)
            case StageFinished():
                self._pass(lambda piece: (piece.stage or 0) <= event.stage)
            case _:
                pass

    @property
    def standing(self) -> Standing:
        """How far the run is now."""
        thought = [seconds for _, seconds in self._timetable]
        done = sum(thought[: self._place]) + self._share * sum(thought[self._place : self._place + 1])
        progress = min(done / sum(thought), _NEVER_DONE)
        if self._stage is None:
            return Standing(progress=progress, eta_s=self._seconds_left())
        shown = min(self._epoch, self._stages[self._stage].epochs - 1)
        return Standing(self._stage, shown, progress, self._seconds_left())

    def _progress(self, event: PhaseProgress) -> None:
        share = event.done / event.total
        piece = self._piece
        match event.phase:
            case "rate":
                if self._go_to(LEARNING, is_search=True):
                    self._share = share
            case "features" if self._go_to({Work.FEATURES}):
                if piece is not self._piece:
                    self._share_at_first = share
                self._pass_through(share)
            case "activations" if piece and piece.work is Work.BELOW:
                self._pass_through(share)
            case "data" if piece and piece.work is Work.READ:
                self._share = share
            case "evaluation" if piece and piece.work is Work.ANSWER:
                self._share = share
            case _:
                pass

    def _pass_through(self, share: float) -> None:
        self._share = share
        if share >= 1:
            self._move_to(self._place + 1)

    def _begin_stage(self, event: StageStarted) -> None:
        self._stage, self._epoch = event.stage, event.first_epoch
        for place, (piece, _) in enumerate(self._timetable):
            if piece.stage == event.stage and piece.epoch is not None and piece.epoch >= event.first_epoch:
                # Not back to where the search for a rate has been already.
                self._move_to(max(place, self._place))
                return

    def _step(self, event: StepFinished) -> None:
        if not self._go_to(LEARNING, epoch=event.epoch):
            return
        now = self._monotonic()
        per_epoch = max(1, event.steps // self._stages[event.stage].epochs)
        in_epoch = event.step - event.epoch * per_epoch
        steps = max(1, len(event.losses))
        self._share = min(1.0, in_epoch / per_epoch)
        self._steps_left = per_epoch - in_epoch
        self._step_times.extend([(now - self._stepped_at) / steps] * min(steps, _LAST_STEPS))
        self._stepped_at = now

    @property
    def _piece(self) -> WorkItem | None:
        return self._timetable[self._place][0] if self._place < len(self._timetable) else None

    def _go_to(self, works: Collection[Work], *, epoch: int | None = -1, is_search: bool = False) -> bool:
        """Turn to the present or next such piece of this stage; whether there is one. ``epoch`` -1 is any."""
        here = self._piece.stage if self._piece else None
        for place in range(self._place, len(self._timetable)):
            piece, _ = self._timetable[place]
            if here is not None and piece.stage != here:
                return False
            if piece.work in works and piece.is_search == is_search and epoch in (-1, piece.epoch):
                self._move_to(place)
                return True
        return False

    def _pass(self, is_over: Callable[[WorkItem], bool]) -> None:
        """Turn to what comes after the last piece that is over."""
        over = [place for place, (piece, _) in enumerate(self._timetable) if is_over(piece)]
        if over:
            self._move_to(max(self._place, over[-1] + 1))

    def _move_to(self, place: int) -> None:
        if place == self._place:
            return
        piece, thought = self._timetable[self._place]
        asks = place < len(self._timetable) and self._timetable[place][0].work is Work.ANSWER
        # Answers are first heard of when some are there; they began after the last step.
        now = self._stepped_at if piece.work in LEARNING and asks else self._monotonic()
        # A piece that was never heard of was passed over, and took no time.
        seen = 1 - self._share_at_first
        if thought > 0 and seen > 0 and (self._share > 0 or piece.work is Work.EXPORT):
            ratio = (now - self._came_at) / (thought * seen)
            self._ratios.setdefault(piece.work, deque(maxlen=_LAST_PIECES)).append(ratio)
        self._place, self._share, self._share_at_first = place, 0.0, 0.0
        self._step_times.clear()
        self._came_at = self._stepped_at = now

    def _seconds_left(self) -> float | None:
        """What is left of this piece, and of the others as they have gone so far; None without a ground for it."""
        if self._place >= len(self._timetable):
            return 0.0
        piece, thought = self._timetable[self._place]
        elapsed = self._monotonic() - self._came_at
        left = self._left_by_measure(piece, elapsed)
        ratios = {work: median(known) for work, known in self._ratios.items()}
        if left is not None and thought > 0 and piece.work in _HEAVY:
            ratios.setdefault(piece.work, (elapsed + left) / thought)
        known = [ratio for work, ratio in ratios.items() if work in _HEAVY]
        if not known:
            return None
        usual = median(known)

        def ratio(work: Work) -> float:
            return ratios.get(work, 1.0 if work in _APART else usual)

        if left is None:
            left = max(0.0, thought * ratio(piece.work) - elapsed)
        return left + sum(seconds * ratio(later.work) for later, seconds in self._timetable[self._place + 1 :])

    def _left_by_measure(self, piece: WorkItem, elapsed: float) -> float | None:
        """Seconds that are left of the piece under way, by what it has taken so far."""
        if piece.work in LEARNING and not piece.is_search:
            enough = len(self._step_times) >= _LAST_STEPS
            return self._steps_left * median(self._step_times) if enough else None
        seen = self._share - self._share_at_first
        return elapsed / seen * (1 - self._share) if seen >= _ENOUGH_OF_A_PASS else None
