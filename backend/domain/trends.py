"""What an epoch table shows, in one sentence for people.

At most one sentence, and none where nothing is wrong or a difference is smaller than what the sentence would print.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from backend.domain.results import Evaluation, chance_of_flips


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


_JUMP: Final = 1.5
"""A validation loss this many times the lowest so far, with more errors than then, is more than a fluctuation."""
_LEVEL: Final = 0.01
"""A change of the validation loss below this share is none."""
_MEMORISING: Final = 0.02
"""A rise of the validation loss over its lowest value by this share, while the training loss falls."""
_LEAST: Final = 0.005
"""Nats: sentences print losses with three decimals, and smaller differences than this would hardly show."""
_SIGNIFICANT: Final = 0.05
_HALF: Final = 0.5
"""Share of the loss before. Measured (docs/speed.md): where training all layers gave a better model, its loss was at
most 0.35 of the frozen one's; where it gave none, 0.9 or more."""
_ENOUGH_EPOCHS: Final = 3
"""Two epochs are one difference, which can't go up and down."""


def remark(epochs: Sequence[EpochFigures], *, valid_images: int) -> Remark | None:
    """The sentence for the epochs of one stage; None where there is nothing to say.

    Args:
        epochs: of one stage, first to last.
        valid_images: how many images the error rates were measured on.
    """
    if len(epochs) < 2 or min(epoch.error_rate for epoch in epochs) == 0:
        return None
    last, before = epochs[-1], epochs[-2]
    best = min(epochs[:-1], key=lambda epoch: epoch.valid_loss)
    rise, fall = last.valid_loss - best.valid_loss, before.valid_loss - last.valid_loss
    if rise >= _LEAST and last.valid_loss > _JUMP * best.valid_loss and last.error_rate > best.error_rate:
        return Remark(
            Trend.JUMPED,
            f"valid_loss jumped from {best.valid_loss:.3f} to {last.valid_loss:.3f}. "
            "The learning rate was probably too high.",
        )
    if _is_memorising(epochs, rise / best.valid_loss if best.valid_loss else 0.0, rise):
        return Remark(
            Trend.MEMORISING,
            f"train_loss is still falling, but valid_loss rose from {best.valid_loss:.3f} to {last.valid_loss:.3f}: "
            "the model starts to memorise its training pictures. More epochs won't help; more pictures would.",
        )
    if abs(fall) < max(_LEAST, _LEVEL * before.valid_loss):
        return _levelled_off(last, before)
    if fall > 0 and last.train_loss < before.train_loss:
        return Remark(Trend.IMPROVING, _improving(before, last, valid_images))
    if fall < 0 and len(epochs) >= _ENOUGH_EPOCHS:
        return Remark(
            Trend.UNSTEADY,
            f"valid_loss goes up and down ({before.valid_loss:.3f}, then {last.valid_loss:.3f}). "
            "A few more epochs will show where it is going.",
        )
    return None


def _is_memorising(epochs: Sequence[EpochFigures], share: float, rise: float) -> bool:
    last, before = epochs[-1], epochs[-2]
    makes_fewest_errors = last.error_rate < min(epoch.error_rate for epoch in epochs[:-1])
    return last.train_loss < before.train_loss and share > _MEMORISING and rise >= _LEAST and not makes_fewest_errors


def _levelled_off(last: EpochFigures, before: EpochFigures) -> Remark | None:
    # A loss that is small already leaves nothing to gain, and fewer errors are a change.
    if last.valid_loss < _LEAST or last.error_rate < before.error_rate:
        return None
    return Remark(
        Trend.LEVEL, f"valid_loss has levelled off at {last.valid_loss:.3f}; more epochs will hardly change it."
    )


def _improving(before: EpochFigures, last: EpochFigures, valid_images: int) -> str:
    text = "Both losses are still falling, so more epochs should help."
    more_right = round((before.error_rate - last.error_rate) * valid_images)
    if more_right > 0:
        text += f" The last epoch got {more_right:,} more right."
    return text


class Change(StrEnum):
    """What a stage did to the model, as far as its test pictures can tell."""

    BETTER = "better"
    NOISE = "no measurable change"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Flips:
    """Answers of two models to the same ``images``: wrong ones of each, and those that became right or wrong."""

    images: int
    wrong_before: int
    wrong_after: int
    mended: int
    spoiled: int

    @classmethod
    def of_pairs(cls, counts: Mapping[tuple[bool, bool], int]) -> Self:
        """From the number of images by (was right before, is right after)."""
        mended, spoiled, still_wrong = (counts.get(pair, 0) for pair in ((False, True), (True, False), (False, False)))
        return cls(sum(counts.values()), still_wrong + mended, still_wrong + spoiled, mended, spoiled)


def flips_of(before: Evaluation, after: Evaluation) -> Flips:
    """How the answers of two models to the same images differ; images that only one of them answered don't count."""
    was_right = dict(zip(before.image_ids, before.predicted == before.targets, strict=True))
    is_right = dict(zip(after.image_ids, after.predicted == after.targets, strict=True))
    both = was_right.keys() & is_right.keys()
    return Flips.of_pairs(Counter((bool(was_right[one]), bool(is_right[one])) for one in both))


def is_clearly_better(flips: Flips, losses: tuple[float, float]) -> bool:
    """Whether a model improved on the one before it by more than chance would explain.

    Either its answers changed so (McNemar's test), or it makes no more mistakes at no more than half of the loss: of a
    model with very few mistakes the answers alone show little.

    Args:
        losses: mean validation loss (nats) of the model before and of this one.
    """
    before, after = losses
    return _is_proved(flips) or (flips.wrong_after <= flips.wrong_before and after <= _HALF * before)


def _is_proved(flips: Flips) -> bool:
    return flips.wrong_after < flips.wrong_before and chance_of_flips(flips.mended, flips.spoiled) < _SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What changed from one model to another; ``text`` says it with its numbers.

    Attributes:
        chance: the p-value in [0, 1]: how often chance alone would change as much.
    """

    change: Change
    chance: float
    text: str


def stage_verdict(flips: Flips, losses: tuple[float, float], *, freeze: bool) -> Verdict:
    """Whether a stage made the model better than the one before it, from their answers to the same images.

    A change of the answers counts where chance alone would bring as much less than one time in twenty.

    Args:
        losses: mean validation loss (nats) of the model before and of this one.
    """
    chance = chance_of_flips(flips.mended, flips.spoiled)
    what = "This stage" if freeze else "Unfreezing"
    figures = _figures(flips)
    if _is_proved(flips):
        return Verdict(Change.BETTER, chance, f"{what} helped: {figures}, more than chance would explain.")
    if is_clearly_better(flips, losses):
        before, after = losses
        return Verdict(
            Change.BETTER, chance, f"{what} helped: valid_loss fell from {before:.3f} to {after:.3f}; {figures}."
        )
    if chance < _SIGNIFICANT:
        return Verdict(Change.WORSE, chance, f"{what} made the model worse: {figures}, more than chance would explain.")
    if flips.mended == flips.spoiled == 0:
        return Verdict(Change.NOISE, chance, f"{what} changed none of the answers.")
    return Verdict(Change.NOISE, chance, f"{what} made no measurable change: {figures}, which chance would explain.")


FEWEST_FLIPS: Final = 6
"""Fewer answers that changed can prove nothing: even five in one direction come by chance once in 16 times."""


def run_verdict(flips: Flips) -> Verdict:
    """Whether the later of two models is better, from their answers to the same images."""
    chance = chance_of_flips(flips.mended, flips.spoiled)
    changed, fewer = flips.mended + flips.spoiled, flips.wrong_before - flips.wrong_after
    if not changed:
        return Verdict(Change.NOISE, chance, "Both models get the same pictures right.")
    what = f"{abs(fewer):,} {'fewer' if fewer > 0 else 'more'} mistake{'s' if abs(fewer) > 1 else ''}"
    what = what if fewer else "As many mistakes as before"
    if changed < FEWEST_FLIPS:
        pictures = "only 1 picture" if changed == 1 else f"only {changed} pictures"
        reason = f"fewer than {FEWEST_FLIPS} can never show more than chance"
        return Verdict(Change.NOISE, chance, f"{what}, but {pictures} changed between right and wrong; {reason}.")
    if chance >= _SIGNIFICANT:
        return Verdict(Change.NOISE, chance, f"{what}, which chance would explain ({chance_words(chance)}).")
    change = Change.BETTER if fewer > 0 else Change.WORSE
    return Verdict(change, chance, f"{what}, more than chance would explain ({chance_words(chance)}).")


def chance_words(chance: float) -> str:
    """A p-value as people write it: ``p = 0.031``."""
    return "p < 0.001" if chance < 0.001 else f"p = {chance:.2g}"


def _figures(flips: Flips) -> str:
    before, after = (f"{100 * wrong / flips.images:.1f} %" for wrong in (flips.wrong_before, flips.wrong_after))
    went = f"error stayed at {after}" if before == after else f"error went from {before} to {after}"
    return f"{went} ({flips.mended:,} now right, {flips.spoiled:,} now wrong)"
