"""Find out what would help a run's results most: gather what is known of its pictures, and count mistakes."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import numpy as np

from backend.datasets.examine.embeddings import Embeddings, read_embeddings
from backend.domain.ids import CheckpointId
from backend.domain.learning_curves import Labelled, errors_of, gain_of_all, gains_of_classes
from backend.domain.manifest import Split
from backend.domain.sampling import evenly_spread
from backend.interpretation.advice import lines
from backend.interpretation.advice.lines import Line
from backend.interpretation.advice.repository import TestedImage
from backend.interpretation.repository import RunHead
from backend.interpretation.suspects.finding import Suspect
from backend.interpretation.suspects.repository import VersionImage

_SHOWN: Final = 4
_LEARNT_FROM: Final = 10_000
_JUDGED: Final = 4_000
"""Pictures that linear models learn from and are judged on at most, spread over all of them."""
_FEWEST_CONFUSED: Final = 3


@dataclass(frozen=True, slots=True)
class Advice:
    """What would help, the most first, and what the numbers are from.

    Attributes:
        errors: mistakes of the run on its ``images`` validation pictures.
        linear_errors: those of the linear model that learning curves are made with; None where there are none.
        examined: of the version's pictures, how many have features.
    """

    lines: tuple[Line, ...]
    errors: int
    images: int
    linear_errors: int | None
    examined: int


@dataclass(frozen=True)
class Gathered:
    """What advice is made of.

    Attributes:
        tested: the validation pictures with the run's answers.
        version: the version's pictures.
        suspects: labels that are probably wrong and that nobody has decided about.
        leaked: ids of pictures that have a copy on the other side.
        refuses_unknown: whether pictures unlike all training pictures get no class.
    """

    head: RunHead
    checkpoint_id: CheckpointId
    classes: Sequence[str]
    tested: Sequence[TestedImage]
    version: Sequence[VersionImage]
    suspects: Sequence[Suspect]
    leaked: Collection[str]
    refuses_unknown: bool


def find_advice(gathered: Gathered, features_folder: Path) -> Advice:
    """What would help a run's results, from its answers and the features of its pictures."""
    tested = gathered.tested
    errors = sum(image.is_wrong for image in tested)
    found = [*_of_answers(gathered, errors)]
    linear_errors, examined = None, 0
    embeddings = read_embeddings(features_folder, gathered.head.dataset_id)
    if embeddings is not None and len(gathered.classes) > 1:
        known = _Known(gathered, embeddings)
        examined = known.examined
        if len(known.learnt.targets) and len(known.judged.targets):
            linear_errors = errors_of(known.learnt, known.judged, len(gathered.classes))
            found += _of_features(gathered, known, errors, linear_errors)
    return Advice(tuple(lines.ranked(found)), errors, len(tested), linear_errors, examined)


class _Known:
    """The pictures that have features, as linear models take them: at most so many, spread over all of them."""

    def __init__(self, gathered: Gathered, embeddings: Embeddings) -> None:
        self._number = {name: index for index, name in enumerate(gathered.classes)}
        self._row_of = {image_id: row for row, image_id in enumerate(embeddings.image_ids)}
        self._values = embeddings.values
        found = [image for image in gathered.version if image.id in self._row_of and image.label in self._number]
        self.examined = len(found)
        self._learnt = evenly_spread([image for image in found if image.split is Split.TRAIN], _LEARNT_FROM)
        self._judged = evenly_spread([image for image in found if image.split is Split.VALID], _JUDGED)
        self.learnt, self.judged = self.relabelled({})

    def relabelled(self, labels: Mapping[str, str]) -> tuple[Labelled, Labelled]:
        """What is learnt from and what is judged, with other labels for some pictures, by their ids."""
        return self._labelled(self._learnt, labels), self._labelled(self._judged, labels)

    def _labelled(self, images: Sequence[VersionImage], labels: Mapping[str, str]) -> Labelled:
        rows = [self._row_of[image.id] for image in images]
        targets = [self._number.get(labels.get(image.id, image.label), -1) for image in images]
        # A label that is no class of the run's can be neither learnt nor answered.
        kept = np.array([target >= 0 for target in targets], dtype=np.bool_)
        return Labelled(self._values[rows][kept], np.array(targets, dtype=np.int64)[kept])


def _of_features(gathered: Gathered, known: _Known, errors: int, linear_errors: int) -> list[Line]:
    head, classes = gathered.head, gathered.classes
    found: list[Line] = []
    # The run may be better than a linear model: of what that one would mend, the run has a part only.
    share = min(1.0, errors / linear_errors) * _part_judged(gathered, known) if linear_errors else 0.0
    dataset = f"/datasets/{head.dataset_id}"
    found.append(lines.twice_as_many(gain_of_all(known.learnt, known.judged, len(classes)).times(share), dataset))
    missed = Counter(image.actual for image in gathered.tested if image.is_wrong)
    gains = gains_of_classes(known.learnt, known.judged, [missed[name] for name in classes], share)
    clear = sorted((one for one in gains if one.gain.is_clear), key=lambda one: -one.gain.high)[:_SHOWN]
    found += [lines.more_pictures(classes[one.target], one.more, one.gain, dataset) for one in clear]
    if len(clear) < len(classes):
        path = f"/runs/{head.run_id}/understand/classes"
        found.append(lines.unclear_classes(len(classes) - len(clear), len(classes), path))
    if gathered.suspects:
        fixed = {suspect.id: suspect.proposed for suspect in gathered.suspects}
        learnt, judged = known.relabelled(fixed)
        mended = linear_errors - errors_of(learnt, judged, len(classes))
        path = f"/runs/{head.run_id}/fix"
        found.append(lines.suspects(len(gathered.suspects), round(max(0, mended) * share), path))
    return found


def _of_answers(gathered: Gathered, errors: int) -> list[Line]:
    head, tested = gathered.head, gathered.tested
    run, dataset = f"/runs/{head.run_id}", f"/datasets/{head.dataset_id}"
    found: list[Line] = []
    pairs = Counter(tuple(sorted((image.actual, image.predicted))) for image in tested if image.is_wrong)
    for (one, other), count in pairs.most_common(1):
        if count >= _FEWEST_CONFUSED:
            directed = Counter((image.actual, image.predicted) for image in tested if image.is_wrong)
            actual, predicted = max([(one, other), (other, one)], key=lambda pair: directed[pair])
            query = urlencode({"actual": actual, "predicted": predicted, "checkpoint": gathered.checkpoint_id})
            found.append(lines.confused_pair(one, other, count, f"{run}/images?{query}"))
    small = [image for image in tested if image.side < lines.SMALL_SIDE]
    others = len(tested) - len(small)
    wrong = sum(image.is_wrong for image in small)
    # Where all are small, there is nothing to compare them with.
    if wrong and others:
        query = urlencode({"run": head.run_id, "result": "wrong", "side": f"-{lines.SMALL_SIDE - 1}"})
        found.append(lines.tiny(wrong, len(small), (errors - wrong) / others, f"{dataset}/images?{query}"))
    leaked = [image for image in tested if image.id in gathered.leaked]
    if leaked:
        errors_without = errors - sum(image.is_wrong for image in leaked)
        found.append(lines.leak(len(leaked), errors, len(tested), errors_without, f"{dataset}/health"))
    if not gathered.refuses_unknown and (none := lines.no_none_class(gathered.classes, dataset)) is not None:
        found.append(none)
    return found


def _part_judged(gathered: Gathered, known: _Known) -> float:
    """Mistakes were counted on a part of the pictures; all of them have so many times more."""
    return max(1.0, len(gathered.tested) / len(known.judged.targets))
