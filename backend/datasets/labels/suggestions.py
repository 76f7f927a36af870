"""Rules that would fit a dataset, found by trying the usual ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.preview import Labelled, Preview, label_images, preview_of
from backend.datasets.repository import DatasetRepository, ImageNames
from backend.domain.errors import InvalidInput
from backend.domain.images import normal
from backend.domain.labels.rules import CsvRule, FolderRule, PatternRule, RuleSpec
from backend.domain.splitting import CsvSplit, FolderSplit, RandomSplit, SplitSpec
from backend.storage.base import Storage

_TRAIN: Final = frozenset({"train", "training"})
_VALID: Final = frozenset({"valid", "validation", "val"})
_SIDES: Final = _TRAIN | _VALID | {"test", "testing"}
SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule that would fit, in words, with what it would give. ``score`` is in [0, 1]."""

    rule: RuleSpec
    split: SplitSpec
    words: str
    score: float
    preview: Preview


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: RuleSpec
    words: str


def suggest(
    session: Session, storage: Storage, dataset_id: str, given: Mapping[str, str] | None = None
) -> list[Suggestion]:
    """Rules that would fit, the best first; ``given`` are labels that are known already, by path.

    Raises:
        DatasetNotFound
    """
    repository = DatasetRepository(session)
    repository.get(dataset_id)
    images = repository.image_names(dataset_id)
    tables = [row.path for row in repository.tables(dataset_id)]
    scored: list[tuple[float, _Candidate, Labelled]] = []
    for candidate in _candidates(images, tables):
        try:
            labelled = label_images(session, storage, dataset_id, images, candidate.rule)
        except InvalidInput:
            continue  # a table that isn't about labels, for example
        if (score := _score(labelled, given or {})) > 0:
            scored.append((score, candidate, labelled))
    # Stable: of equals, the simpler one that was tried first.
    scored.sort(key=lambda found: -found[0])
    found = []
    for score, candidate, labelled in _distinct(scored)[:SHOWN]:
        split = _split_for(images, labelled)
        fit = f"{candidate.words}, because {len(labelled.images):,} of {len(images):,} fit"
        found.append(
            Suggestion(
                candidate.rule, split, fit, round(score, 3), preview_of(session, storage, dataset_id, labelled, split)
            )
        )
    return found


def _candidates(images: Sequence[ImageNames], tables: Sequence[str]) -> Iterator[_Candidate]:
    for table in tables:
        yield _Candidate(CsvRule(file=table), f"what {table} says")
    yield _Candidate(FolderRule(level=1), "the folder the picture is in")
    ending = _ending(images)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+)_\d+{ending}"), "everything before the last _number")
    yield _Candidate(PatternRule(pattern=rf"/([^/]+)-\d+{ending}"), "everything before the last -number")
    yield _Candidate(PatternRule(pattern=rf"/([^/]+?) ?\(\d+\){ending}"), "everything before the last (number)")
    yield _Candidate(PatternRule(pattern=rf"/([^/\d]+?)[ ._-]?\d+{ending}"), "everything before the first number")
    yield _Candidate(PatternRule(pattern=r"/([^/_-]+)[_-][^/]*$"), "everything before the first _ or -")
    yield _Candidate(FolderRule(level=2), "the folder above the one the picture is in")
    yield _Candidate(FolderRule(level=3), "the folder two above the one the picture is in")


def _ending(images: Sequence[ImageNames]) -> str:
    endings = {PurePosixPath(image.path).suffix for image in images}
    only = next(iter(endings)) if len(endings) == 1 else ""
    return rf"\{only}$" if only[1:].isalnum() and only.isascii() else r"\.[^./]+$"


def _score(labelled: Labelled, given: Mapping[str, str]) -> float:
    """How well a rule fits: share of images with a label, sensible number and sizes of classes, known labels met."""
    counts = labelled.counts
    total = len(labelled.images) + len(labelled.unlabelled)
    if len(counts) < 2 or (len(counts) > total / 2 and total > 4):
        return 0.0
    coverage = len(labelled.images) / total
    alone = sum(count == 1 for count in counts.values()) / len(counts)
    is_side = {name.casefold() for name in counts} <= _SIDES
    return coverage * (1 - 0.7 * alone) * (0.05 if is_side else 1.0) * _agreement(labelled, given)


def _agreement(labelled: Labelled, given: Mapping[str, str]) -> float:
    if not given:
        return 1.0
    labels = {path: found.label for found in labelled.images for path in found.image.paths}
    met = sum(normal(labels.get(path, "")) == normal(label) for path, label in given.items())
    return met / len(given)


def _distinct(scored: list[tuple[float, _Candidate, Labelled]]) -> list[tuple[float, _Candidate, Labelled]]:
    seen: set[tuple[tuple[str, int], ...]] = set()
    kept = []
    for entry in scored:
        outcome = tuple(sorted(entry[2].counts.items()))
        if outcome not in seen:
            seen.add(outcome)
            kept.append(entry)
    return kept


def _split_for(images: Sequence[ImageNames], labelled: Labelled) -> SplitSpec:
    folders = {part.casefold() for image in images for path in image.paths for part in path.split("/")[:-1]}
    if folders & _TRAIN and folders & _VALID:
        return FolderSplit(train="train" if "train" in folders else "training")
    if labelled.table and "is_valid" in labelled.table.table.columns:
        return CsvSplit()
    return RandomSplit()
