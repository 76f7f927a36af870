"""What an epoch table says, in one sentence for people.

One rule at most speaks; each names the numbers it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.domain.results import chance_of_flips


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One row of the epoch table: losses in nats, ``error_rate`` in [0, 1]."""

    train_loss: float
    valid_loss: float
    error_rate: float


class Trend(StrEnum):
    """Which way a stage is going."""

    JUMPED = "jumped"
    MEMORISING = "memorising"
    IMPROVING = "improving"
    LEVEL = "level"
    UNSTEADY = "unsteady"


@dataclass(frozen=True, slots=True)
class Remark:
    """A trend and its sentence."""

    trend: Trend
    text: str


_JUMP = 1.5
"""A validation loss this many times the lowest so far, with more errors than before, is no wobble."""
_LEVEL = 0.01
"""A change of the validation loss below this share is none."""
_MEMORISING = 0.02
"""A rise of the validation loss over its lowest value by this share, while the training loss falls."""


def remark(epochs: Sequence[EpochFigures], *, valid_images: int) -> Remark | None:
    """What the epochs of one stage say together; None before the second one.

    Args:
        epochs: of one stage, first to last.
        valid_images: how many images the error rates were measured on.
    """
    if len(epochs) < 2:
        return None
    last, before = epochs[-1], epochs[-2]
    lowest = min(epoch.valid_loss for epoch in epochs[:-1])
    if last.valid_loss > _JUMP * lowest and last.error_rate > before.error_rate:
        return Remark(
            Trend.JUMPED,
            f"In the last epoch valid_loss jumped from {before.valid_loss:.3f} to {last.valid_loss:.3f}. "
            "That mostly means the learning rate was too high.",
        )
    if last.train_loss < before.train_loss and last.valid_loss > lowest * (1 + _MEMORISING):
        return Remark(
            Trend.MEMORISING,
            f"train_loss still falls, but valid_loss has risen from {lowest:.3f} to {last.valid_loss:.3f}: "
            "it begins to learn its own pictures by heart. More epochs won't help; more pictures would.",
        )
    change = (last.valid_loss - before.valid_loss) / before.valid_loss if before.valid_loss else 0.0
    if abs(change) < _LEVEL:
        return Remark(
            Trend.LEVEL,
            f"valid_loss has levelled off at {last.valid_loss:.3f}, so more of the same will hardly change it.",
        )
    if change < 0 and last.train_loss < before.train_loss:
        return Remark(Trend.IMPROVING, _improving(before, last, valid_images))
    return Remark(
        Trend.UNSTEADY,
        f"valid_loss goes up and down (last {before.valid_loss:.3f}, then {last.valid_loss:.3f}). "
        "A few more epochs will tell.",
    )


def _improving(before: EpochFigures, last: EpochFigures, valid_images: int) -> str:
    text = "Both losses still fall, so more of this helps."
    mended = round((before.error_rate - last.error_rate) * valid_images)
    if mended > 0:
        text += f" The last epoch mended {mended:,} of {valid_images:,} test pictures."
    return text


class Change(StrEnum):
    """What a stage did to the model, as far as its test pictures can tell."""

    BETTER = "better"
    NOISE = "no better than noise"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Flips:
    """Answers of two models to the same ``images``: wrong ones of each, and those that became right or wrong."""

    images: int
    wrong_before: int
    wrong_after: int
    mended: int
    spoiled: int


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """What a stage changed; ``text`` says it with its numbers.

    Attributes:
        chance: how often luck alone would change as much, in [0, 1].
    """

    change: Change
    chance: float
    text: str


_MORE_THAN_LUCK: Final = 0.05


def stage_verdict(flips: Flips, *, freeze: bool) -> StageVerdict:
    """Whether a stage made the model better than the one before it, from their answers to the same images.

    A change counts where luck alone would bring as much less than one time in twenty.
    """
    chance = chance_of_flips(flips.mended, flips.spoiled)
    what = "This stage" if freeze else "Unfreezing"
    before, after = (wrong / flips.images for wrong in (flips.wrong_before, flips.wrong_after))
    figures = (
        f"{before:.1%} to {after:.1%}".replace("%", " %") + f" ({flips.mended:,} mended, {flips.spoiled:,} spoiled)"
    )
    if chance < _MORE_THAN_LUCK and after < before:
        return StageVerdict(Change.BETTER, chance, f"{what} helped: error went from {figures}, more than luck.")
    if chance < _MORE_THAN_LUCK:
        return StageVerdict(Change.WORSE, chance, f"{what} didn't help: error went from {figures}, more than luck.")
    if flips.mended == flips.spoiled == 0:
        return StageVerdict(Change.NOISE, chance, f"{what} changed nothing: not one answer is another than before.")
    result = "made no difference that counts" if after < before else "didn't help"
    return StageVerdict(Change.NOISE, chance, f"{what} {result}: error went from {figures}, within what chance does.")
