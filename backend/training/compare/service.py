"""Two runs on the pictures that neither of them was trained on, scored on the labels of today."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.today import labels_today, names_today
from backend.datasets.versions import find_version
from backend.domain.ids import CheckpointId, ImageId, RunId
from backend.domain.trends import Flips, Verdict, run_verdict
from backend.interpretation.answers import AnsweredImage, AnsweredTwice
from backend.interpretation.comparison import ClassChange, Outcome, Pair, class_changes, flips_of_pairs
from backend.interpretation.find import results_of
from backend.interpretation.flips import answered_by_both, answers_to, count_tried
from backend.interpretation.service import Results
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow
from backend.training.compare.errors import NoPicturesInCommon, RunsOfTwoDatasets
from backend.training.differences import Difference, differences
from backend.training.run_view import RunView, list_runs, show_run


class Listed(StrEnum):
    """Which pictures of a comparison are listed: those of an outcome, or those with another label than before."""

    NOW_RIGHT = Outcome.NOW_RIGHT.value
    NOW_WRONG = Outcome.NOW_WRONG.value
    STILL_WRONG = Outcome.STILL_WRONG.value
    BOTH_RIGHT = Outcome.BOTH_RIGHT.value
    RELABELLED = "relabelled"


_MOST: Final = 200
"""Runs to choose from; older ones are compared by their addresses."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A run, and the checkpoint of it that is meant; None for its best one."""

    run_id: RunId
    checkpoint_id: CheckpointId | None = None

    @classmethod
    def of(cls, run_id: str, checkpoint_id: str | None) -> "Choice":
        """From the words of a request."""
        return cls(RunId(run_id), CheckpointId(checkpoint_id) if checkpoint_id else None)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models.

    Attributes:
        images_only_here: validation pictures of it that the other one was not tried on.
        not_learnt: labels of today that it has no class for, so that it can't get their pictures right.
    """

    run: RunView
    results: Results
    images_only_here: int
    not_learnt: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Two models on the same pictures.

    Attributes:
        pairs: those pictures with both answers, by id.
        relabelled: those of them that have another label than when one of the models was tried on them.
        left_out: pictures that both were tried on and that have no label today; they aren't among the pairs.
        names_after: names of today of the later model's classes, where they are others.
    """

    before: Side
    after: Side
    pairs: tuple[Pair, ...]
    relabelled: frozenset[ImageId]
    left_out: int
    names_after: Mapping[str, str]

    @cached_property
    def flips(self) -> Flips:
        """How many answers became right and wrong."""
        return flips_of_pairs(self.pairs)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the later model is better, beyond chance."""
        return run_verdict(self.flips)

    @cached_property
    def counts(self) -> Counter[Outcome]:
        """How many pictures each outcome has."""
        return Counter(pair.outcome for pair in self.pairs)

    def listed(self, change: Listed | None) -> list[Pair]:
        """Pictures of one list, else all with another answer than before."""
        if change is None:
            return [pair for pair in self.pairs if pair.before != pair.after]
        if change is Listed.RELABELLED:
            return [pair for pair in self.pairs if pair.image_id in self.relabelled]
        return [pair for pair in self.pairs if pair.outcome.value == change.value]

    @cached_property
    def classes(self) -> Sequence[ClassChange]:
        """Every class, those that changed most first."""
        return class_changes(self.pairs)

    @cached_property
    def settings(self) -> Sequence[Difference]:
        """What differs in how the two were trained."""
        return list(differences(self.before.run, self.after.run))

    @property
    def differs_in_seed_only(self) -> bool:
        """Whether both were trained alike, so that what changed is the luck of training."""
        before, after = (
            (run.version_id, run.starts_from, run.config | {"seed": 0}) for run in (self.before.run, self.after.run)
        )
        return before == after and self.before.run.id != self.after.run.id


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """A picture with what both models answered when they were tried on it."""

    pair: Pair
    before: AnsweredImage
    after: AnsweredImage

    @property
    def id(self) -> str:
        """The picture's id, by which the lists are ordered."""
        return self.pair.image_id


def compare_runs(session: Session, storage: Storage, before: Choice, after: Choice) -> Compared:
    """Two runs of one dataset on the validation pictures that both models were tried on.

    Raises:
        RunNotFound, CheckpointNotFound, DatasetNotFound
        NoResultsYet: one of them has no finished stage.
        RunsOfTwoDatasets, NoPicturesInCommon
    """
    runs = [show_run(session, choice.run_id) for choice in (before, after)]
    if runs[0].dataset_id != runs[1].dataset_id:
        raise RunsOfTwoDatasets(runs[0].dataset_id, runs[1].dataset_id)
    results = [results_of(session, choice.run_id, choice.checkpoint_id) for choice in (before, after)]
    answers = answered_by_both(session, results[0].checkpoint_id, results[1].checkpoint_id)
    labels, names = _today(session, storage, [find_version(session, run.version_id) for run in runs], answers)
    labelled = [(one, label) for one in answers if (label := labels[one.image_id]) is not None]
    if not labelled:
        raise NoPicturesInCommon(len(answers))
    used = {label for _, label in labelled}
    earlier, later = (
        Side(
            run,
            found,
            count_tried(session, found.checkpoint_id) - len(answers),
            tuple(sorted(used - {called.get(name, name) for name in found.classes})),
        )
        for run, found, called in zip(runs, results, names, strict=True)
    )
    return Compared(
        before=earlier,
        after=later,
        pairs=tuple(Pair(one.image_id, label, *_renamed(one.answers, names)) for one, label in labelled),
        relabelled=frozenset(one.image_id for one, label in labelled if {label} != {*_renamed(one.labels, names)}),
        left_out=len(answers) - len(labelled),
        names_after=names[1],
    )


def changed_images(
    session: Session, compared: Compared, change: Listed | None, *, limit: int, after: str | None = None
) -> list[ComparedImage]:
    """Pictures of one list, else all with another answer than before, by id; ``after`` is the id to go on from."""
    shown = compared.listed(change)
    page = [pair for pair in shown if after is None or pair.image_id > after][:limit]
    ids = [pair.image_id for pair in page]
    before, now = (answers_to(session, side.results.checkpoint_id, ids) for side in (compared.before, compared.after))
    return [ComparedImage(pair, before[pair.image_id], now[pair.image_id]) for pair in page]


def comparable_runs(session: Session, dataset_id: str) -> list[RunView]:
    """The newest runs of a dataset that have a model, the newest first."""
    return [run for run in list_runs(session, limit=_MOST, dataset_id=dataset_id) if run.checkpoints]


def _today(
    session: Session, storage: Storage, versions: Sequence[VersionRow], answers: Sequence[AnsweredTwice]
) -> tuple[Mapping[ImageId, str | None], Sequence[Mapping[str, str]]]:
    """The label of each image today (None: left out), and for both versions the classes that have another name today.

    The labels are those of the newer version with what was changed since.
    """
    newer = max(range(2), key=lambda side: versions[side].number)
    today = labels_today(session, storage, versions[newer])
    # A picture that was deleted since keeps the label that it had last.
    labels = {one.image_id: today.get(one.image_id, one.labels[newer]) for one in answers}
    names = [
        names_today(session, version, today)
        if any(labels[one.image_id] not in (None, one.labels[side]) for one in answers)
        else {}
        for side, version in enumerate(versions)
    ]
    return labels, names


def _renamed(words: tuple[str, str], names: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    before, after = words
    return names[0].get(before, before), names[1].get(after, after)
