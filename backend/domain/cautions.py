"""Warnings before a training starts: what doesn't stop it but should be known, with the numbers behind it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from backend.domain.json import Json
from backend.domain.training import ClassBalance, Stage, TrainingConfig

_BLOWS_UP: Final = 0.1
_TOO_LOW_FROZEN: Final = 1e-5
_TOO_LOW: Final = 1e-7
_UNEQUAL: Final = 3.0
"""Training images of the largest class over those of the smallest, above which it is worth a word."""
_NAMED: Final = 3
_FEW_TESTED: Final = 20
"""Held-out pictures of all classes together, below which one mistake changes the error rate by more than 5 %."""
_BATCH_NORM_MOMENTUM: Final = 0.1
"""How far the running numbers of batch norm move at each step; torch's own, which all networks here have."""
_HALF_LEARNT: Final = 0.9


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning: its stable code, and a sentence."""

    code: str
    message: str


def cautions(config: TrainingConfig, counts: Mapping[str, Json]) -> tuple[Caution, ...]:
    """Warnings about a training on a version with these counts."""
    images = {name: int(of_class.get("train", 0)) for name, of_class in counts.items()}
    found = [caution for number, stage in enumerate(config.stages, 1) for caution in _of_rate(number, stage)]
    return (
        *found,
        *_of_untested(counts),
        *_of_few(counts),
        *_of_classes(config, images),
        *_of_batch_norm(config, sum(images.values())),
    )


def _of_rate(number: int, stage: Stage) -> Iterator[Caution]:
    if stage.max_lr == "find":
        return
    low, high = stage.max_lr if isinstance(stage.max_lr, tuple) else (stage.max_lr / 10, stage.max_lr)
    usual = "0.0001 to 0.01" if stage.freeze else "0.000001 for the first layers to 0.001 for the last"
    if max(low, high) >= _BLOWS_UP:
        text = (
            f"Stage {number}: the learning rate {max(low, high):g} is too high, so training would fail. Usual: {usual}."
        )
        yield Caution("rate-too-high", text)
    elif high < (_TOO_LOW_FROZEN if stage.freeze else _TOO_LOW):
        text = f"Stage {number}: the learning rate {high:g} is so low that little would be learned. Usual: {usual}."
        yield Caution("rate-too-low", text)
    elif low > high:
        text = (
            f"Stage {number}: the first layers ({low:g}) have a higher rate than the last ones ({high:g}). "
            "Usually it is the other way round, because the first layers are already trained."
        )
        yield Caution("rates-upside-down", text)


def _of_untested(counts: Mapping[str, Json]) -> Iterator[Caution]:
    untested = [name for name, of_class in counts.items() if of_class.get("valid") == 0]
    if not untested:
        return
    named = ", ".join(f"“{name}”" for name in untested[:_NAMED]) + (" and others" if len(untested) > _NAMED else "")
    classes = "1 class has" if len(untested) == 1 else f"{len(untested)} classes have"
    text = (
        f"{classes} no test pictures: {named}. How often the model is right on "
        f"{'this class' if len(untested) == 1 else 'these classes'} can't be measured. "
        "Train anyway, or hold out a larger share."
    )
    yield Caution("classes-untested", text)


def _of_few(counts: Mapping[str, Json]) -> Iterator[Caution]:
    images = sum(int(of_class.get("valid", 0)) for of_class in counts.values())
    if not 0 < images < _FEW_TESTED:
        return
    held_out = "1 picture is" if images == 1 else f"{images} pictures are"
    text = (
        f"Only {held_out} held out for testing, so the score will be unreliable: a single mistake changes it by "
        f"{1 / images:.0%}. Hold out at least {_FEW_TESTED} pictures, or add more."
    ).replace("%", " %")
    yield Caution("few-test-pictures", text)


def _of_classes(config: TrainingConfig, images: Mapping[str, int]) -> Iterator[Caution]:
    most, least = max(images, key=images.__getitem__), min(images, key=images.__getitem__)
    if config.class_balance is not ClassBalance.NONE or images[most] <= _UNEQUAL * images[least]:
        return
    text = (
        f"The classes are unequal: {images[most]:,} training pictures of “{most}”, {images[least]:,} of “{least}”. "
        "The model may miss rare classes; “Unequal classes” under Advanced helps."
    )
    yield Caution("classes-unequal", text)


def _of_batch_norm(config: TrainingConfig, images: int) -> Iterator[Caution]:
    if not config.entry.has_batch_norm:
        return
    trained = [(number, stage.epochs) for number, stage in enumerate(config.stages, 1) if stage.train_batch_norm]
    # What one stage has adapted, the next one continues from.
    steps = sum(epochs for _, epochs in trained) * math.ceil(images / config.batch_size)
    way = 1 - (1 - _BATCH_NORM_MOMENTUM) ** steps
    if trained and way < _HALF_LEARNT:
        text = (
            f"Stage {trained[-1][0]}: batch norm is trained, but it changes by only {_BATCH_NORM_MOMENTUM:.0%} a step. "
            f"After {steps:,} steps it is {way:.0%} adapted, so test results would be unreliable. "
            "Keep it fixed, or train for more steps."
        ).replace("%", " %")
        yield Caution("batch-norm-half-learnt", text)
