"""A training as a notebook that repeats it: the cells of ``notebooks/``, with the numbers of the training's record."""

import json
import pprint
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from backend.domain.architectures import ARCHITECTURES, WeightSource
from backend.domain.drawn import Drawn
from backend.domain.errors import InvalidInput
from backend.domain.json import Json
from backend.domain.training import ClassBalance, Stage
from backend.training.exports.facts import RunFacts, StageDone
from backend.training.exports.texts import in_markdown
from backend.training.run_page.log import rate_words
from backend.version import version as program_version

CELLS: Final = Path(__file__).resolve().parents[3] / "notebooks"
_LITE: Final = re.compile(r"efficientnet-lite(\d)")


class Library(StrEnum):
    """With what a notebook trains."""

    PYTORCH = "pytorch"
    FASTAI = "fastai"


class NotebookUnavailable(InvalidInput):
    """A training can't be repeated by a notebook."""

    code = "notebook-unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"There is no notebook of this training: {reason}.",
            advice="The settings and figures of the training are in its report and in its model card.",
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of text or of code; ``when`` names the trait that a training has whose notebook it belongs to."""

    kind: str
    source: str
    when: str = ""
    tags: tuple[str, ...] = ()


def notebook(facts: RunFacts, library: Library, *, kind: Drawn | None, data: str) -> bytes:
    """The notebook as a file (nbformat 4.5).

    Args:
        kind: what the pictures were drawn from; None where they are pictures.
        data: name of the ZIP of the dataset's version.

    Raises:
        NotebookUnavailable
    """
    _require_repeatable(facts, kind)
    traits = _traits(facts)
    cells = [_introduction(facts, library, data), _settings(facts, data), *_chosen(facts, library, traits)]
    content = {
        "cells": [_written(number, cell) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def _require_repeatable(facts: RunFacts, kind: Drawn | None) -> None:
    if kind is not None:
        raise NotebookUnavailable("its pictures were drawn from other files, which a short notebook can't do")
    if facts.config.architecture not in ARCHITECTURES:
        raise NotebookUnavailable(
            f"notebooks are written for {', '.join(one.title for one in ARCHITECTURES.values())} only"
        )


def _traits(facts: RunFacts) -> set[str]:
    config = facts.config
    found = {"lite" if _LITE.fullmatch(config.architecture) else "resnet"}
    found.add("balanced" if config.class_balance is ClassBalance.BALANCED_SAMPLING else "unbalanced")
    if config.test_time_views or any(not one.stage.sees_plain_view for one in facts.stages):
        found.add("augmented")
    if config.test_time_views:
        found.add("test_time")
    if facts.run.starts_from:
        found.add("started")
    return found


def _chosen(facts: RunFacts, library: Library, traits: set[str]) -> Iterator[Cell]:
    for cell in cells_of(library):
        if cell.when == "stages":
            yield from _stage_cells(facts, library)
        elif not cell.when or cell.when in traits:
            yield cell


@cache
def cells_of(library: Library) -> tuple[Cell, ...]:
    """All cells of ``notebooks/``, whichever training they are for; the files' names are in their order."""
    return tuple(cell for file in sorted((CELLS / library).glob("*.py")) for cell in _cells_in(file))


def _cells_in(file: Path) -> Iterator[Cell]:
    # Before the first cell stands what the file is.
    parts = re.split(r"^# %%(.*)$", file.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return (_cell(head, body) for head, body in zip(parts[::2], parts[1::2], strict=True))


def _cell(head: str, body: str) -> Cell:
    when = re.search(r"when=(\w+)", head)
    is_text = "[markdown]" in head
    # What tells a linter of the whole file something says nothing in a notebook.
    lines = [re.sub(r"\s+# noqa.*$", "", line) for line in body.strip("\n").splitlines()]
    source = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines) if is_text else "\n".join(lines)
    return Cell("markdown" if is_text else "code", source.strip("\n"), when[1] if when else "")


def _introduction(facts: RunFacts, library: Library, data: str) -> Cell:
    valid, entry = facts.valid, facts.config.entry
    lines = [
        f"# {in_markdown(facts.name)}",
        "",
        f"This notebook repeats a training of Tellapart with {_LIBRARY_WORDS[library]}: {entry.title} on version "
        f"{facts.version.number} of “{in_markdown(facts.run.dataset_name)}”. The training got {valid['errors']} of "
        f"{valid['images']} held-out pictures wrong ({100 * valid['error_rate']:.2f} %).",
        "",
        f"Download the dataset’s version as a ZIP from the page of its versions, put it beside this notebook as "
        f"**{in_markdown(data)}**, install the packages (`pip install {' '.join(_packages(facts, library))}`), and run "
        "the cells one by one.",
        "",
        _PROMISES[library],
    ]
    return Cell("markdown", "\n".join(lines))


_LIBRARY_WORDS: Final = {Library.PYTORCH: "plain PyTorch", Library.FASTAI: "fastai"}
_PROMISES: Final = {
    Library.PYTORCH: "It draws the same random numbers. On a processor, in float32, the head trained alone gives the "
    "same error. Where all layers learn, or another device or precision computes, rounding differs, and with it a few "
    "answers.",
    Library.FASTAI: "It has the same pictures, split, network, rates and epochs, in fastai’s own words. fastai draws "
    "other random numbers, so the error is near the training’s and not the same.",
}


def _packages(facts: RunFacts, library: Library) -> list[str]:
    given = _weights(facts)
    own = [given.package] if given.source is WeightSource.PACKAGE else []
    if library is Library.FASTAI:
        return ["fastai", "timm"]
    network = "timm" if _LITE.fullmatch(facts.config.architecture) else "torchvision"
    further = ["safetensors"] if facts.run.starts_from else []
    return ["torch", network, "pillow", "numpy", *own, *further]


def _weights(facts: RunFacts) -> Any:  # Any: of the catalogue
    return next(one for one in facts.config.entry.weights if one.name == facts.config.weights)


def _settings(facts: RunFacts, data: str) -> Cell:
    lines = [
        f"DATA = {data!r}",
        "WEIGHTS = None  # a file with the pretrained weights; None takes those of the package, or downloads them",
    ]
    if facts.run.starts_from:
        lines.append(f"START = 'model.safetensors'  # of the model {facts.run.starts_from}")
    lines += ["", f"# As Tellapart {program_version()} wrote them down.", f"RUN = {_literal(run_settings(facts))}"]
    return Cell("code", "\n".join(lines), tags=("parameters",))


def _literal(value: Json) -> str:
    return pprint.pformat(value, width=110, sort_dicts=False)


def run_settings(facts: RunFacts) -> dict[str, Json]:
    """The numbers of a training, as its notebook needs them."""
    config, valid = facts.config, facts.valid
    lite = _LITE.fullmatch(config.architecture)
    return {
        "run": facts.run.id,
        "version": facts.version.id,
        "architecture": config.architecture,
        **({"timm_name": f"tf_efficientnet_lite{lite[1]}"} if lite else {}),
        "weights": config.weights,
        **({"weights_package": _weights(facts).package} if lite else {}),
        "features": config.entry.features,
        "mean": list(config.entry.mean),
        "std": list(config.entry.std),
        "image_size": config.image_size,
        "crop_share": config.crop_share,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "augmentation": config.augmentation.model_dump(mode="json"),
        "weight_decay": config.weight_decay,
        "decay_batch_norm": config.decay_batch_norm,
        "last_layer_bias": config.last_layer_bias,
        "adam_betas": list(config.adam_betas),
        "adam_epsilon": config.adam_epsilon,
        "label_smoothing": config.label_smoothing,
        "is_weighted": config.class_balance is ClassBalance.WEIGHTED_LOSS,
        "is_balanced": config.class_balance is ClassBalance.BALANCED_SAMPLING,
        "test_time_views": config.test_time_views,
        "unreadable": list(facts.unreadable),
        "stages": [_stage_settings(facts, one) for one in facts.stages],
        "errors": valid["errors"],
        "images": valid["images"],
    }


def _stage_settings(facts: RunFacts, done: StageDone) -> dict[str, Json]:
    stage = done.stage
    return {
        # Of its lineage: the random numbers follow from it.
        "number": int(facts.written.get("stages_before", 0)) + done.number,
        "freeze": stage.freeze,
        "epochs": len(done.epochs),
        "planned": stage.epochs,
        "changes": [list(change) for change in done.changes],
        "max_lr": _plain_rate(stage),
        "warmup": stage.warmup,
        "start_div": stage.start_div,
        "final_div": stage.final_div,
        "momentum_high": stage.momentum_high,
        "momentum_low": stage.momentum_low,
        "train_batch_norm": stage.train_batch_norm,
        "frozen_blocks": 0 if stage.freeze else stage.frozen_blocks,
        "views": stage.stored_views,
        "is_random": not stage.sees_plain_view,
        "is_constant": stage.features_are_constant,
        "image_size": stage.image_size or facts.config.image_size,
        "keep_best": stage.keep_best,
    }


def _plain_rate(stage: Stage) -> float | list[float]:
    return list(stage.peak) if isinstance(stage.peak, tuple) else stage.peak


def _stage_cells(facts: RunFacts, library: Library) -> Iterator[Cell]:
    for place, done in enumerate(facts.stages):
        stage = done.stage
        if stage.freeze:
            what = "Only the head learns; the backbone keeps what it learnt on ImageNet."
        else:
            what = "All layers learn, the lower ones more slowly."
        ends = " The best epoch’s weights are kept." if stage.keep_best else ""
        text = f"## Stage {done.number + 1}\n{what} {len(done.epochs)} epochs, with a highest rate of "
        yield Cell("markdown", f"{text}{rate_words(stage.peak)}.{ends}")
        yield Cell("code", _STAGE_CODE[library](place, done, facts))


def _in_pytorch(place: int, _done: StageDone, _facts: RunFacts) -> str:
    return f"probabilities = train_stage({place})"


def _in_fastai(_place: int, done: StageDone, facts: RunFacts) -> str:
    stage, epochs = done.stage, len(done.epochs)
    rate = f"slice({stage.peak[0]!r}, {stage.peak[1]!r})" if isinstance(stage.peak, tuple) else f"slice({stage.peak!r})"
    callbacks = [] if stage.train_batch_norm else ["BnFreeze()"]
    callbacks += ["SaveModelCallback(monitor='error_rate')"] if stage.keep_best else []
    size = stage.image_size or facts.config.image_size
    moms = f"({stage.momentum_high!r}, {stage.momentum_low!r}, {stage.momentum_high!r})"
    lines = [
        f"learn.train_bn = {stage.train_batch_norm}",
        "learn.freeze()" if stage.freeze else "learn.unfreeze()",
        "learn.fit_one_cycle(",
        f"    {epochs},",
        f"    {rate},",
        f"    pct_start={stage.warmup!r},",
        f"    div={stage.start_div!r},",
        f"    div_final={stage.final_div!r},",
        f"    moms={moms},",
        f"    cbs=[{', '.join(callbacks)}],",
        ")",
    ]
    if size != facts.config.image_size:
        lines.insert(0, f"# The training showed pictures of {size} pixels in this stage.")
    return "\n".join(lines)


_STAGE_CODE: Final = {Library.PYTORCH: _in_pytorch, Library.FASTAI: _in_fastai}


def _written(number: int, cell: Cell) -> dict[str, Json]:
    found: dict[str, Json] = {
        "cell_type": cell.kind,
        "id": f"cell-{number:02}",
        "metadata": {"tags": list(cell.tags)} if cell.tags else {},
        "source": _lines(cell.source),
    }
    return found if cell.kind == "markdown" else found | {"execution_count": None, "outputs": []}


def _lines(source: str) -> Sequence[str]:
    return source.splitlines(keepends=True)
