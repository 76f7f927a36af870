"""Figures of fastai's own, for our tests to compare with: ``python -m benchmarks.fastai_figures FILE [KEY ...]``.

Run in an interpreter that has fastai; none of ours is imported. Inputs are
formulas rather than random numbers, so that a test can write them down again.
Without keys all figures are taken.
"""

import contextlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import fastai
import fastai.vision.all as fv
import torch
from fastai.callback.schedule import minimum, slide, steep, valley

Figures = Any
"""JSON values."""

_POINTS: Final = 85
"""What fastai's finder passes to its suggestions of 100 steps: all but the first 10 and the last 5."""


# --- Learning-rate finder --------------------------------------------------------------------------------------------


def lr_finder() -> Figures:
    """What the four suggestions say of curves; null where fastai itself fails."""
    return [_suggestions(name, *curve) for name, curve in _curves().items()]


def _curves() -> dict[str, tuple[list[float], list[float]]]:
    rates = [1e-7 * 1e8 ** (step / 100) for step in range(10, 10 + _POINTS)]
    place = [step / (_POINTS - 1) for step in range(_POINTS)]
    bowl = [3.6 - 2.4 / (1 + math.exp(-14 * (x - 0.55))) + 40 * max(0.0, x - 0.85) ** 2 for x in place]
    noisy = [loss + 0.05 * math.sin(37 * x) + 0.03 * math.cos(91 * x) for x, loss in zip(place, bowl, strict=True)]
    return {
        "a bowl": (rates, bowl),
        "a bowl with noise": (rates, noisy),
        "falling to the end": (rates, [4 - 3 * x**2 for x in place]),
        "rising from the start": (rates, [1 + 3 * x**2 for x in place]),
        "flat": (rates, [2.0 for _ in place]),
        "two valleys": (rates, [3 - math.sin(9 * x) - x for x in place]),
        "a late cliff": (rates, [2 - 0.5 * x - (1 if x > 0.9 else 0) for x in place]),
        "falls late and bursts": (rates, [2 - 4 * max(0.0, x - 0.6) ** 2 + 900 * max(0.0, x - 0.97) for x in place]),
        "tiny losses": (rates, [1e-3 * loss for loss in noisy]),
        "twenty points": (rates[::4][:20], noisy[::4][:20]),
        "exactly sixteen points": (rates[:16], noisy[40:56]),
        "six points": (rates[:6], noisy[50:56]),
        "two points": (rates[:2], noisy[50:52]),
        "one point": (rates[:1], noisy[:1]),
    }


def _suggestions(name: str, rates: list[float], losses: list[float]) -> Figures:
    # As fastai does: both become float32.
    given = torch.tensor(rates), torch.tensor(losses)
    rows: dict[str, Figures] = {"name": name, "learning_rates": rates, "losses": losses}
    for suggest in (valley, steep, minimum, slide):
        try:
            rows[suggest.__name__] = float(suggest(*given, 100)[0])
        except (IndexError, RuntimeError, ValueError):
            rows[suggest.__name__] = None
    return rows


class _Finished:
    """Stands for a learner whose finder has run: fastai's ``lr_find`` then only cuts the curve and suggests."""

    def __init__(self, rates: list[float], losses: list[float]) -> None:
        self.dls = SimpleNamespace(train=[None] * 10)
        self.recorder = SimpleNamespace(lrs=rates, losses=losses)

    no_logging = contextlib.nullcontext

    def fit(self, epochs: int, cbs: object) -> None:
        """Nothing is left to do."""


def lr_find_cuts() -> Figures:
    """Whole recorded curves, and what ``lr_find`` suggests after it has cut them; no number is null."""
    rates = [1e-7 * 1e8 ** (step / 100) for step in range(100)]
    losses = [3.6 - 2.4 / (1 + math.exp(-0.14 * (step - 55))) + 0.004 * max(0.0, step - 80) ** 2 for step in range(100)]
    curves = {
        "all steps": (rates, losses),
        "stopped after 83 steps": (rates[:83], losses[:83]),
        "no number from step 70 on": (rates, [*losses[:70], *[math.nan] * 30]),
        "no number in the last one, which is cut anyway": (rates, [*losses[:99], math.nan]),
        "one number missing in the middle": (rates, [*losses[:60], math.nan, *losses[61:]]),
    }
    return [_cut(name, *curve) for name, curve in curves.items()]


def _cut(name: str, rates: list[float], losses: list[float]) -> Figures:
    suggested = fv.Learner.lr_find(
        _Finished(rates, losses), num_it=100, show_plot=False, suggest_funcs=(valley, steep, minimum, slide)
    )
    known = [None if math.isnan(loss) else loss for loss in losses]
    return {"name": name, "steps": 100, "learning_rates": rates, "losses": known, **suggested._asdict()}


ALL: Final[dict[str, Callable[[], Figures]]] = {"lr_finder": lr_finder, "lr_find_cuts": lr_find_cuts}


def main(file: Path, keys: list[str]) -> None:
    """Take the figures and put them into the file beside what it holds."""
    content = json.loads(file.read_text("utf-8")) if file.exists() else {}
    content["source"] = {
        "fastai": fastai.__version__,
        "torch": torch.__version__,
        "made_by": "python -m benchmarks.fastai_figures tests/fixtures/fastai_figures.json",
    }
    for key in keys or ALL:
        content[key] = ALL[key]()
        print(key)
    file.write_text(json.dumps(content, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
