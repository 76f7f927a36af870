"""Find the labels of a version that are probably wrong: gather what is known of its pictures, and weigh it up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.datasets.examine.embeddings import read_embeddings
from backend.datasets.health.duplicates import COPIES
from backend.datasets.health.picture import Material, Picture
from backend.datasets.health.repository import HealthRepository
from backend.datasets.health.traits import copy_groups
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.contradictions import other_labels
from backend.db.session import Database
from backend.domain.ids import CheckpointId, Digest
from backend.domain.labels.suspects import Labelled, Signals, signals_of
from backend.domain.manifest import Split
from backend.interpretation.repository import RunHead
from backend.interpretation.suspects.repository import Answer, SuspectRepository, VersionImage
from backend.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Suspect:
    """A picture whose label is probably wrong.

    Attributes:
        label: what the run's version says.
        proposed: the class that fits best instead.
        score: how suspect it is, in 0 to 1.
        loss: nats; None where the run didn't predict it.
        margin: logit of the label minus that of ``proposed``, by a model that hasn't learnt from it; None as above.
        against: share of the nearest pictures that have another label.
        copies: ids of pictures that show the same and have another label.
        is_only_copy: nothing else speaks against the label.
        why: a sentence.
    """

    id: str
    digest: Digest
    path: str
    split: Split
    label: str
    proposed: str
    score: float
    loss: float | None
    margin: float | None
    against: float | None
    is_contradicted: bool
    copies: tuple[str, ...]
    is_only_copy: bool
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about the labels of a run's version.

    Attributes:
        suspects: the most suspect first.
        choices: by image id, the classes other than its label that fit a picture best, the best first.
        images: pictures of the version.
        examined: of these, how many have features.
    """

    suspects: tuple[Suspect, ...]
    choices: Mapping[str, tuple[str, ...]]
    images: int
    examined: int


@dataclass(frozen=True, slots=True)
class _Copies:
    """Pictures that show the same: a number that they share; the other label of each that has two, and its ids."""

    groups: NDArray[np.int64]
    contradictions: Mapping[str, str]
    partners: Mapping[str, tuple[str, ...]]


def find_suspects(
    database: Database, storage: Storage, features_folder: Path, head: RunHead, checkpoint_id: CheckpointId
) -> Found:
    """The pictures of a run's version whose label is probably wrong."""
    with database.read() as session:
        repository = SuspectRepository(session)
        images, answers = repository.images(head.version_id), repository.answers(checkpoint_id)
        pairs = HealthRepository(session, head.dataset_id).pairs()
        other = other_labels(DatasetContent.of(session, storage, head.dataset_id))
    pictures = [Picture(image.id, (image.path,), "", 0, 0, 0, label=image.label, split=image.split) for image in images]
    copies = _copies(Material(pictures, pairs), pictures, other)
    classes = sorted({image.label for image in images} | {*copies.contradictions.values()})
    embeddings = read_embeddings(features_folder, head.dataset_id)
    nothing = np.zeros((len(images), 1), dtype=np.float32)
    values = nothing if embeddings is None else embeddings.values_of([image.id for image in images])
    examined = int(values.any(axis=1).sum())
    if len(classes) < 2:
        return Found((), {}, len(images), examined)
    known = _known(images, values, copies, answers, classes)
    signals = signals_of(known, len(classes))
    choices = {
        image.id: tuple(classes[choice] for choice in chosen if choice >= 0)
        for image, chosen in zip(images, signals.choices.tolist(), strict=True)
    }
    suspects = tuple(
        _suspect(images[index], index, signals, classes, answers.get(images[index].id), copies)
        for index in signals.suspects.tolist()
    )
    return Found(suspects, choices, len(images), examined)


def _copies(material: Material, pictures: Sequence[Picture], other: Mapping[str, str]) -> _Copies:
    contradictions = {
        picture.id: other[picture.id] for picture in pictures if other.get(picture.id, picture.label) != picture.label
    }
    partners: dict[str, tuple[str, ...]] = {}
    for group in material.groups(*COPIES):
        counts = Counter(picture.label for picture in group)
        for picture in group if len(counts) > 1 else ():
            contradictions[picture.id] = next(
                label for label, _ in counts.most_common() if label and label != picture.label
            )
            partners[picture.id] = tuple(one.id for one in group if one.label != picture.label)
    return _Copies(np.array(copy_groups(material, pictures), dtype=np.int64), contradictions, partners)


def _known(
    images: Sequence[VersionImage],
    values: NDArray[np.float32],
    copies: _Copies,
    answers: Mapping[str, Answer],
    classes: Sequence[str],
) -> Labelled:
    number = {name: index for index, name in enumerate(classes)}
    none = Answer("", 0.0, np.nan)
    found = [answers.get(image.id, none) for image in images]
    return Labelled(
        values,
        np.array([number[image.label] for image in images], dtype=np.int64),
        copies.groups,
        np.array([answer.loss for answer in found], dtype=np.float64),
        np.array([number.get(answer.predicted, -1) for answer in found], dtype=np.int64),
        np.array([answer.confidence for answer in found], dtype=np.float64),
        np.array(
            [number[copies.contradictions[image.id]] if image.id in copies.contradictions else -1 for image in images]
        ),
    )


def _suspect(
    image: VersionImage,
    index: int,
    signals: Signals,
    classes: Sequence[str],
    answer: Answer | None,
    copies: _Copies,
) -> Suspect:
    proposed = classes[signals.choices[index, 0]]
    margin, against = float(signals.margins[index]), float(signals.against[index])
    agrees = answer is not None and answer.predicted == proposed
    contradicted = image.id in copies.contradictions
    said = []
    if contradicted:
        said.append(f"the same picture is also labelled “{copies.contradictions[image.id]}”")
    if answer is not None and agrees:
        said.append(f"the model predicted “{proposed}” with {100 * answer.confidence:.0f} % confidence")
    elif signals.disagrees[index]:
        said.append(f"a model that has not learnt from this picture predicts “{proposed}”")
    if (agreeing := int(signals.agreeing[index])) > 1:
        label = "that label" if said else f"the label “{proposed}”"
        said.append(f"{agreeing} of the {signals.nearest[index]} most similar pictures have {label}")
    words = ", and ".join(said[:2])
    return Suspect(
        *image[:3],
        image.split,
        image.label,
        proposed,
        round(float(signals.scores[index]), 4),
        None if answer is None else answer.loss,
        None if np.isnan(margin) else round(margin, 3),
        None if np.isnan(against) else round(against, 3),
        contradicted,
        copies.partners.get(image.id, ()),
        contradicted and not agrees and not signals.disagrees[index],
        f"{words[:1].upper()}{words[1:]}.",
    )
