"""What epochs cost against each other, before and while it is measured.

The unit is one pass of all of a version's images through the whole network, forwards only.
"""

from typing import Final

from backend.domain.training import FROZEN_VIEWS, Stage

_UNFROZEN: Final = 3.0
"""A pass forwards and two backwards."""
_HEAD_ALONE: Final = 0.03
"""An epoch of the head on answers that were kept; 0.5 s against 10 to 60 s on the machine where it was measured."""


def epoch_cost(stage: Stage, epoch: int) -> float:
    """What ``epoch`` (from 0) of a stage costs."""
    if not stage.freeze:
        return _UNFROZEN
    if stage.backbone_stands_still and epoch >= FROZEN_VIEWS:
        return _HEAD_ALONE
    return 1.0


def stage_cost(stage: Stage) -> float:
    """What all epochs of a stage cost."""
    return sum(epoch_cost(stage, epoch) for epoch in range(stage.epochs))
