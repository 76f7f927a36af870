"""From the curve of a learning-rate search to a rate: four rules, one choice, and the reason in words.

The search takes growing rates, one batch each, and notes the smoothed loss. The four rules, the
numbers of the search and how its curve is cut are fastai 2's, to the digit (``recipe.md`` D4;
source: fastai ``callback.schedule``), which our tests compare with figures of its own. The choice
among them is ours, as are the words.

A stage in which everything learns gets a pair from the same rate: a hundredth of it for the lowest
layers, a tenth for the head. The course's lesson 1 does so by eye: it finds 1e-3 and more on the
curve and then unfreezes with ``slice(1e-6, 1e-4)``, its upper end well left of where the loss climbs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from backend.domain.training import MaxLearningRate

START_RATE: Final = 1e-7
END_RATE: Final = 10.0
STEPS: Final = 100
FEWEST_STEPS: Final = 6
SMOOTHING: Final = 0.98
BURST: Final = 4.0
"""The search ends once the smoothed loss is so many times its lowest."""

FALLBACK: Final = 1e-3
"""The rate where a search finds none."""
FEWEST_POINTS: Final = 6
_FIRST_SHARE, _LAST_POINTS = 10, 5
_SLOPE: Final = 0.1
"""A fall of less than this share of the first loss is no slope but noise."""
_FEW_IMAGES: Final = 50


def rate_at(step: int, steps: int) -> float:
    """The rate of one step of a search: from 1e-7 to 10, each a constant factor more than the one before."""
    return float(START_RATE * (END_RATE / START_RATE) ** (step / steps))


@dataclass(frozen=True, slots=True)
class Curve:
    """What a search has seen: smoothed losses by rate, the middle one of its tries (seeds), and the range of all."""

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    losses_low: tuple[float, ...]
    losses_high: tuple[float, ...]
    tries: int = 1

    def __len__(self) -> int:
        return len(self.learning_rates)


def curve_of(recorded: Sequence[Sequence[float]], steps: int) -> Curve:
    """The points that count, of the losses that each seed recorded step by step.

    Left out are the first tenth, where the average has not settled, the last five steps, and
    everything from the first loss that is no number.
    """
    length = min(len(losses) for losses in recorded)
    first = steps // _FIRST_SHARE
    by_step = [tuple(losses[step] for losses in recorded) for step in range(first, length - _LAST_POINTS)]
    known = next((place for place, some in enumerate(by_step) if any(map(math.isnan, some))), len(by_step))
    by_step = by_step[:known]
    return Curve(
        tuple(rate_at(first + place, steps) for place in range(len(by_step))),
        tuple(median(some) for some in by_step),
        tuple(min(some) for some in by_step),
        tuple(max(some) for some in by_step),
        len(recorded),
    )


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What each rule says of a curve; None where it finds nothing."""

    valley: float | None = None
    steep: float | None = None
    minimum: float | None = None
    slide: float | None = None

    @property
    def found(self) -> dict[str, float]:
        """The rules that found something, in their order."""
        return {name: rate for name, rate in asdict(self).items() if rate is not None}


def suggestions(learning_rates: Sequence[float], losses: Sequence[float]) -> Suggestions:
    """What the four rules say of a curve's points."""
    return Suggestions(*(rule(learning_rates, losses) for rule in (_valley, _steep, _minimum, _slide)))


def _valley(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """About the middle of the longest fall.

    The fall is the longest series of points each lower than the one before, with gaps allowed; its
    length is then taken as if it had none, as fastai does.
    """
    if not losses:
        return None
    lengths: list[int] = []
    for loss in losses:
        before = (length for length, earlier in zip(lengths, losses, strict=False) if earlier > loss)
        lengths.append(1 + max(before, default=0))
    longest = max(lengths)
    end = lengths.index(longest)
    start = end - longest if longest > 1 else 0
    third = (end - start) / 3
    return rates[start + int(third) + int(third / 2)]


def _steep(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Where the loss falls fastest over the logarithm of the rate."""
    slopes = [
        (losses[place + 1] - losses[place]) / (math.log(rates[place + 1]) - math.log(rates[place]))
        for place in range(len(losses) - 1)
    ]
    return rates[slopes.index(min(slopes))] if slopes else None


def _minimum(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """A tenth of the rate with the lowest loss."""
    return rates[losses.index(min(losses))] / 10 if losses else None


_SLIDE_APART: Final = 15
_SLIDE_ALIKE: Final = 0.005


def _slide(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Two points 15 apart slide leftwards from the end until the loss changes about equally fast at both."""
    left = len(losses) - 1 - _SLIDE_APART
    if left < 0:
        return None
    slopes = _slopes(losses)
    found = rates[left]
    while left >= 0 and abs(slopes[left + _SLIDE_APART] - slopes[left]) > _SLIDE_ALIKE:
        found = rates[left]
        left -= 1
    return found


def _slopes(losses: Sequence[float]) -> list[float]:
    """Change of the loss a point: half the difference of both neighbours; at the ends, of the only one."""
    last = len(losses) - 1
    return [
        (losses[min(place + 1, last)] - losses[max(place - 1, 0)]) / (min(place + 1, last) - max(place - 1, 0))
        for place in range(len(losses))
    ]


@dataclass(frozen=True, slots=True)
class Finding:
    """The rate to take, and why.

    Attributes:
        rule: name of the rule that it comes from; None where the search found nothing.
        chosen: the rate on the curve, in two digits.
        max_lr: what the stage gets of it: the rate itself, or [lowest layers, head].
        explanation: in plain words, with the numbers.
    """

    suggestions: Suggestions
    rule: str | None
    chosen: float
    max_lr: MaxLearningRate
    explanation: str


def finding(curve: Curve, *, freeze: bool, has_learnt: bool = False, images: int | None = None) -> Finding:
    """Choose a rate from a curve.

    ``freeze``: whether only the head of the stage learns. ``has_learnt``: whether the search began
    from a trained model. ``images``: how many there are to learn from.
    """
    suggested = suggestions(curve.learning_rates, curve.losses)
    chosen = _two_digits(suggested.valley or FALLBACK)
    if refusal := _no_slope(curve, has_learnt):
        suggested, chosen = Suggestions(), FALLBACK
    sentences = [refusal] if refusal else [_in_words(curve), _why(chosen), _agreement(suggested)]
    if images is not None and images < _FEW_IMAGES:
        sentences.append(f"There are only {images} training pictures, so this is a rough estimate.")
    explanation = " ".join(filter(None, sentences))
    return Finding(suggested, None if refusal else "valley", chosen, max_lr_for(chosen, freeze=freeze), explanation)


def max_lr_for(rate: float, *, freeze: bool) -> MaxLearningRate:
    """What a stage gets of a rate on the curve."""
    return rate if freeze else (_two_digits(rate / 100), _two_digits(rate / 10))


def words(rate: float) -> str:
    """``2.5e-3`` or ``1.1``, as people who train networks write it."""
    if 1 <= rate < 100:
        return f"{rate:.2g}"
    digits, power = f"{rate:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def _two_digits(rate: float) -> float:
    return float(f"{rate:.1e}")


def _no_slope(curve: Curve, has_learnt: bool) -> str:
    """Why the curve gives no rate; empty where it does."""
    instead = f"A usual rate to begin with is {words(FALLBACK)}."
    if len(curve) < FEWEST_POINTS:
        return f"Fewer than {FEWEST_POINTS} batches could be used, so the curve is meaningless. {instead}"
    if _fall(curve) >= _SLOPE:
        return ""
    if has_learnt:
        climb = _climbs_from(curve)
        what = f"stays flat, then climbs from about {words(climb)}" if climb else "stays flat"
        return f"No slope found: this model is already trained, so the loss {what}. {instead}"
    rises = "only rises" if curve.losses[0] < curve.losses[-1] else "hardly falls"
    return (
        f"No slope found: the loss {rises}. Most often the labels are mixed up, "
        f"or there are too few pictures. {instead}"
    )


def _fall(curve: Curve) -> float:
    """How far the loss falls, as a share of the first."""
    first = curve.losses[0]
    return (first - min(curve.losses)) / first if first > 0 else 0.0


def _in_words(curve: Curve) -> str:
    """Where it begins to learn, and where it falls apart."""
    lowest = min(curve.losses)
    begins = _first_rate(curve, lambda loss: loss < curve.losses[0] - 0.05 * (curve.losses[0] - lowest))
    below = f"Below {words(begins)} the model hardly improves" if begins else ""
    climb = _climbs_from(curve)
    above = f"above {words(climb)} training becomes unstable" if climb else "no rate in this search was too high"
    return f"{below}; {above}." if below else f"{above[0].upper()}{above[1:]}."


def _climbs_from(curve: Curve) -> float | None:
    """The first rate after the lowest loss at which half of the fall is lost again; None where there is none."""
    lowest = min(curve.losses)
    limit = lowest + max(0.5 * (curve.losses[0] - lowest), _SLOPE * lowest)
    return _first_rate(curve, lambda loss: loss > limit, after=curve.losses.index(lowest))


def _first_rate(curve: Curve, holds: Callable[[float], bool], *, after: int = 0) -> float | None:
    points = zip(curve.learning_rates[after:], curve.losses[after:], strict=True)
    return next((rate for rate, loss in points if holds(loss)), None)


def _why(chosen: float) -> str:
    return f"{words(chosen)} is about the middle of the long slope: fast, and still stable."


def _agreement(suggested: Suggestions) -> str:
    rates = suggested.found.values()
    if len(rates) < 2:
        return ""
    factor = max(rates) / min(rates)
    if factor > 100:
        return f"The rules disagree widely, so this curve is a weak guide. {words(FALLBACK)} is a usual rate."
    if factor > 10:
        return f"The rules differ by a factor of {math.ceil(factor)}; if training is too slow, try a higher rate."
    count = {2: "both rules", 3: "all three rules", 4: "all four rules"}[len(rates)]
    return f"If unsure, keep it: {count} agree within a factor of {math.ceil(factor)}."
