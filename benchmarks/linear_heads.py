"""Errors of regularised linear heads on frozen features, by network, size of the view, mirror images and batch norm.

``python -m benchmarks.linear_heads SOURCE ... --json OUT`` measures; ``--draw`` puts the table into ``docs/speed.md``.

The sets and their splits are the suite's, so a head of ours (``benchmarks.suite --variant frozen-head=...``) learns
from the same images and is tested on the same ones. The strength of a linear head's L2 penalty is chosen by
cross-validation over its training images; nothing else is chosen.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from torch import nn

from backend.domain.architectures import ARCHITECTURES
from backend.domain.json import Json
from backend.domain.manifest import Split
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.decoding import decode_near
from backend.imaging.preprocessing import evaluation_view, normalise
from benchmarks import measuring
from benchmarks.processes import CantMeasure, machine
from benchmarks.sets import PictureSet, prepare
from benchmarks.suite_summary import Spread
from benchmarks.table import machine_sentence, redraw
from worker.engine.data.source import preprocessing_of
from worker.engine.network import weights
from worker.engine.network.architectures import Classifier, build
from worker.engine.order import NeverStop

BEGIN: Final = "<!-- figures: linear heads begin (drawn by python -m benchmarks.linear_heads) -->"
END: Final = "<!-- figures: linear heads end -->"

Features = NDArray[np.float32]
"""(images, features)."""

_BATCH: Final = 32
_FOLDS: Final = 3
_PENALTIES: Final = np.logspace(-4, 2, 7)
"""scikit-learn's ``C``: the smaller, the stronger the penalty."""
_CANT: Final = 2


@dataclass(frozen=True, slots=True)
class View:
    """What a network sees.

    Attributes:
        size: side in pixels.
        has_own_norms: whether batch norm has the statistics of the set's training images instead of ImageNet's.
    """

    architecture: str
    size: int
    has_own_norms: bool = False

    @property
    def words(self) -> str:
        """``EfficientNet-Lite0 at 224``."""
        name = f"{ARCHITECTURES[self.architecture].title} at {self.size}"
        return f"{name}, batch norm of the set" if self.has_own_norms else name


_LITE0: Final = View("efficientnet-lite0", 224)
_LITE0_LARGER: Final = View("efficientnet-lite0", 256)
_LITE2: Final = View("efficientnet-lite2", 260)
KINDS: Final[tuple[tuple[View, ...], ...]] = (
    (_LITE0,),
    (_LITE0_LARGER,),
    (_LITE0, _LITE0_LARGER),
    (View("efficientnet-lite1", 240),),
    (_LITE2,),
    (_LITE0_LARGER, _LITE2),
    (View("efficientnet-lite0", 224, has_own_norms=True),),
)
"""Views whose features are put side by side."""
MIRROR: Final = {
    "": (False, False),
    ", mirror images trained on too": (True, False),
    ", mirror images at prediction": (False, True),
    ", mirror images at both": (True, True),
}
"""Whether mirror images are trained on and whether the answers for an image and its mirror image are averaged."""


class FrozenNetwork:
    """Features of images by a pretrained network; (N, 2C) for each, maximum and average over the feature map."""

    def __init__(self, view: View, folder: Path) -> None:
        entry = ARCHITECTURES[view.architecture]
        source = entry.weights[0]
        pretrained = weights.load(entry, source, folder, on_event=lambda event: None, stop=NeverStop())
        config = resolve(TrainingRequest(architecture=view.architecture, image_size=view.size))
        self._preprocessing = preprocessing_of(config)
        self._model: Classifier = build(entry, 2, last_layer_bias=False, seed=1, pretrained=pretrained).eval()

    def adopt_norms(self, files: Sequence[Path]) -> None:
        """Give batch norm the mean statistics of these images, in batches."""
        norms = [part for part in self._model.backbone.modules() if isinstance(part, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for _ in self._answers(files, is_mirrored=False):
            pass
        self._model.eval()

    def features(self, files: Sequence[Path], *, is_mirrored: bool) -> Features:
        """Of the evaluation view of each file, or of its mirror image."""
        return np.concatenate(list(self._answers(files, is_mirrored)))

    def _answers(self, files: Sequence[Path], is_mirrored: bool) -> Iterator[Features]:
        for begin in range(0, len(files), _BATCH):
            views = np.stack([self._view(file, is_mirrored) for file in files[begin : begin + _BATCH]])
            with torch.inference_mode():
                images = torch.from_numpy(views).contiguous(memory_format=torch.channels_last)
                yield self._model.features(images).numpy()

    def _view(self, file: Path, is_mirrored: bool) -> NDArray[np.float32]:
        image = decode_near(file.read_bytes(), 2 * self._preprocessing.resize_to)
        pixels = evaluation_view(image, self._preprocessing)
        return normalise(np.ascontiguousarray(pixels[:, ::-1]) if is_mirrored else pixels, self._preprocessing)


class SetFeatures:
    """Features of a set's images, computed once for all seeds; batch norm of the set's own once for each."""

    def __init__(self, one: PictureSet, folder: Path) -> None:
        self._set, self._folder = one, folder
        self._known: dict[tuple[View, int, bool], dict[Path, NDArray[np.float32]]] = {}

    def of(self, files: Sequence[Path], views: Sequence[View], seed: int, *, is_mirrored: bool) -> Features:
        """(files, features of all views side by side)."""
        parts = []
        for view in views:
            known = self._all(view, seed if view.has_own_norms else 0, is_mirrored)
            parts.append(np.stack([known[file] for file in files]))
        return np.concatenate(parts, axis=1)

    def _all(self, view: View, seed: int, is_mirrored: bool) -> dict[Path, NDArray[np.float32]]:
        key = (view, seed, is_mirrored)
        if key not in self._known:
            network = FrozenNetwork(view, self._folder)
            if view.has_own_norms:
                network.adopt_norms([Path(file) for file, _ in self._set.lists(seed)[Split.TRAIN]])
            files = [self._set.folder / image.paths[0] for image in self._set.images]
            self._known[key] = dict(zip(files, network.features(files, is_mirrored=is_mirrored), strict=True))
        return self._known[key]


class LinearHead:
    """Logistic regression on standardised features, the penalty chosen by cross-validated loss."""

    def __init__(self, features: Features, labels: NDArray[np.str_]) -> None:
        self._mean, self._std = features.mean(axis=0), features.std(axis=0) + 1e-6
        scaled = (features - self._mean) / self._std
        # An L2 penalty is the same in any rotated space, and the images span at most as many dimensions as there are.
        _, _, axes = np.linalg.svd(scaled, full_matrices=False)
        self._axes = axes.T
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=1)
        self._model = LogisticRegressionCV(
            Cs=_PENALTIES,
            cv=folds,
            scoring="neg_log_loss",
            max_iter=2000,
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
        )
        self._model.fit(scaled @ self._axes, labels)

    @property
    def penalty(self) -> float:
        """The chosen ``C``."""
        return float(self._model.C_)

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """(images, classes), classes in alphabetical order."""
        answers: NDArray[np.float64] = self._model.predict_proba((features - self._mean) / self._std @ self._axes)
        return answers

    @property
    def classes(self) -> NDArray[np.str_]:
        """In the order of the probabilities."""
        found: NDArray[np.str_] = self._model.classes_
        return found


def measure(one: PictureSet, seeds: Sequence[int], folder: Path) -> list[dict[str, Json]]:
    """A row for each kind of features, use of mirror images and seed."""
    known, rows = SetFeatures(one, folder), list[dict[str, Json]]()
    for kind in KINDS:
        for seed in seeds:
            rows += _measure(one, known, kind, seed)
        words = title(kind)
        errors = [row["test_error"] for row in rows if row["features"] == words and row["mirror"] == ""]
        print(f"{one.name}: {words}: {statistics.fmean(errors):.1%}", flush=True)
    return rows


def title(kind: Sequence[View]) -> str:
    """The views' names side by side."""
    return " and ".join(view.words for view in kind)


def _measure(one: PictureSet, known: SetFeatures, kind: tuple[View, ...], seed: int) -> list[dict[str, Json]]:
    lists = one.lists(seed)
    train, test = ([Path(file) for file, _ in lists[split]] for split in (Split.TRAIN, Split.TEST))
    labels, truth = (np.array([label for _, label in lists[split]]) for split in (Split.TRAIN, Split.TEST))
    plain, mirrored = (known.of(train, kind, seed, is_mirrored=is_mirrored) for is_mirrored in (False, True))
    heads = {
        False: LinearHead(plain, labels),
        True: LinearHead(np.concatenate([plain, mirrored]), np.concatenate([labels, labels])),
    }
    rows: list[dict[str, Json]] = []
    for words, (trained_on, predicted) in MIRROR.items():
        head = heads[trained_on]
        answers = head.probabilities(known.of(test, kind, seed, is_mirrored=False))
        if predicted:
            answers = answers + head.probabilities(known.of(test, kind, seed, is_mirrored=True))
        wrong = head.classes[answers.argmax(axis=1)] != truth
        rows.append(
            {
                "set": one.name,
                "seed": seed,
                "features": title(kind),
                "mirror": words,
                "penalty": head.penalty,
                "test_error": float(wrong.mean()),
            }
        )
    return rows


def draw(results: dict[str, Json]) -> str:
    """The Markdown table: test errors, a row for each head and a column for each set."""
    rows = results["rows"]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    kinds = list(dict.fromkeys((row["features"], row["mirror"]) for row in rows))
    lines = [f"| features | {' | '.join(sets)} |", f"|---{'|---' * len(sets)}|"]
    for features, mirror in kinds:
        cells = []
        for name in sets:
            errors = [
                row["test_error"]
                for row in rows
                if (row["set"], row["features"], row["mirror"]) == (name, features, mirror)
            ]
            cells.append(Spread.of(errors).percent)
        lines.append(f"| {features}{mirror} | {' | '.join(cells)} |")
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    how = f"Test error, mean over seeds {seeds} with its standard error; the splits are the suite's."
    return "\n".join([*lines, "", how, machine_sentence(results["machine"])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or draw what was measured; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linear_heads", description="Linear heads compared.")
    parser.add_argument("sources", nargs="*", help="folders and archives of pictures; 'digits' is scikit-learn's")
    parser.add_argument("--json", type=Path, required=True, help="file of results; sets in it are not measured again")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the splits")
    parser.add_argument("--cache", type=Path, required=True, help="folder for extracted archives")
    parser.add_argument("--weights-folder", type=Path, default=Path("data/weights"), help="downloaded weights, if any")
    parser.add_argument("--draw", action="store_true", help="put the table into docs/speed.md")
    given = parser.parse_args(arguments)
    empty: dict[str, Json] = {"machine": machine() | {"versions": measuring.versions()}, "rows": []}
    results = measuring.read(given.json) if given.json.exists() else empty
    given.cache.mkdir(parents=True, exist_ok=True)
    try:
        for source in given.sources:
            one = prepare(source, given.cache)
            if one.name not in {row["set"] for row in results["rows"]}:
                results["rows"] += measure(one, given.seeds, given.weights_folder)
                results["machine"]["load_after"] = measuring.load_average()
                measuring.write(given.json, results)
    except (CantMeasure, OSError) as error:
        print(error, file=sys.stderr)
        return _CANT
    if given.draw:
        redraw(given.json, draw, BEGIN, END)
    else:
        print(draw(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
