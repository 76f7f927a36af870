"""What all stages of a training share."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from backend.domain.events import OnEvent
from backend.imaging.preprocessing import Preprocessing
from worker.engine.data.prepared import Images
from worker.engine.data.source import Unreadable
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop import evaluation
from worker.engine.loop.run import LearningRateBackoff
from worker.engine.loop.saving import SavingTime
from worker.engine.loop.time_limit import TimeLimit
from worker.engine.network.architectures import Classifier
from worker.engine.order import StatePoint, Stopped, StopSignal, TrainingOrder
from worker.engine.parallel.ranks import ALONE, Ranks
from worker.engine.throttle import Throttle


@dataclass(slots=True)
class CompileStatus:
    """Whether compiling has failed in a training: each attempt may take minutes, so there is no second one."""

    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Training:
    """What all stages of a training share.

    Attributes:
        saved: grows with every saved state, the newest last.
        stages_before: stages of earlier trainings that led to the weights this training began with.
        ranks: the processes that do the training together.
        time: how long the training has worked, and how long it may.
        saving: how much of that went into saving states.
    """

    order: TrainingOrder
    device: torch.device
    model: Classifier
    images: Images
    on_event: OnEvent
    stop: StopSignal
    saved: list[StatePoint]
    limits: MemoryLimits
    backoff: LearningRateBackoff = field(default_factory=LearningRateBackoff)
    stages_before: int = 0
    compile_status: CompileStatus = field(default_factory=CompileStatus)
    ranks: Ranks = ALONE
    time: TimeLimit = field(default_factory=TimeLimit)
    saving: SavingTime = field(default_factory=SavingTime)

    @property
    def preprocessing(self) -> Preprocessing:
        return self.images.source.preprocessing

    def watch(self, report: Callable[[int], None], total: int) -> evaluation.OnBatch:
        """A listener for batches that checks the stop signal and reports progress at most twice a second.

        Of work that is shared each process does an equal part, so the progress of one is that of all.
        """
        throttle = Throttle()

        def on_batch(done: int, unreadable: list[Unreadable]) -> None:
            if self.stop.requested():
                raise Stopped
            self.images.skip(unreadable)
            done = min(total, done * self.ranks.size)
            if throttle.due() or done == total:
                report(done)

        return on_batch

    def name_skipped(self) -> None:
        """Make the images that one process couldn't read known to all, after work that they shared.

        Raises:
            TooManyUnreadable: together.
        """
        for unreadable in self.ranks.gather(self.images.skipped):
            with self.ranks.agreeing():
                self.images.skip(unreadable)
