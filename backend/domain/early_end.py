"""When a stage that stays far behind the model before it is given up."""

import math
from typing import Final

from backend.domain.training import Stage

_FAR_BEHIND: Final = ((1 / 2, 1.25), (1 / 3, 1.5))
"""From which share of a stage's epochs on, how many times the errors of the model before it are too many.

Measured (docs/speed.md): where a stage helped in the end, its best epoch of the first third had up to 1.3 times the
errors of the model before it and that of the first half as many or fewer; where it didn't, 1.7 times or more in both.
"""


def is_far_behind(done: float, best: float, before: float) -> bool:
    """Whether a stage hardly can become better than the model before it.

    ``done`` is the share of its epochs that are over, ``best`` the lowest error rate after one of them and
    ``before`` that of the model before it.
    """
    return any(done >= share and best > times * before for share, times in _FAR_BEHIND)


def fewest_epochs(stage: Stage) -> int:
    """Epochs after which a stage ends at the earliest, of its own accord."""
    share = min(share for share, _ in _FAR_BEHIND)
    return math.ceil(share * stage.epochs) if stage.stop_if_worse else stage.epochs
