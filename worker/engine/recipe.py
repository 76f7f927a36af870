"""The recipe of a training, from an order to checkpoints."""

from backend.domain.events import OnEvent
from worker.engine.order import NeverStop, StopSignal, TrainingOrder, TrainingResult


def train(order: TrainingOrder, *, on_event: OnEvent, stop: StopSignal | None = None) -> TrainingResult:
    """Train as ordered, stage by stage, and say what was left behind.

    Raises:
        Stopped: the stop signal was given.
        AppError: the training can't be done or went wrong; see ``worker.engine.errors``.
    """
    raise NotImplementedError(order, on_event, stop or NeverStop())
