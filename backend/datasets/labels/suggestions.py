"""Rules that would fit a dataset, found by trying the usual ones."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from backend.datasets.labels.apply import Labelled, label_images
from backend.datasets.labels.content import DatasetContent
from backend.domain.errors import InvalidInput
from backend.domain.images import normal
from backend.domain.labels.rules import CsvRule, FolderRule, PatternRule, RuleSpec
from backend.domain.labels.sense import is_container, masks_among, sense_of
from backend.domain.labels.tables import Table
from backend.domain.manifest import Split
from backend.domain.splitting import FOLDER_WORDS, SIDE_WORDS, CsvSplit, FolderSplit, RandomSplit, SplitSpec

SHOWN: Final = 5
_LEAST: Final = 0.1
"""A rule that makes less sense than this is not proposed."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule that would fit, in words, with what it gives. ``score`` is in [0, 1]."""

    rule: RuleSpec
    split: SplitSpec
    words: str
    score: float
    labelled: Labelled


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: RuleSpec
    words: str
    weight: float = 1.0
    """Below 1 for rules that are less likely than others which make as much sense."""


@dataclass(frozen=True, slots=True)
class _Scored:
    candidate: _Candidate
    labelled: Labelled
    score: float


def suggest(content: DatasetContent, given: Mapping[str, str] | None = None) -> list[Suggestion]:
    """Rules that would fit, the best first; ``given`` are labels that are known already, by path."""
    masks = masks_among([image.path for image in content.images])
    scored = [found for candidate in _candidates(content, masks) if (found := _tried(content, candidate, masks, given))]
    # Stable: of equals, the simpler one that was tried first.
    scored.sort(key=lambda found: -found.score)
    return [_suggestion(content, found) for found in _distinct(scored)[:SHOWN]]


def _suggestion(content: DatasetContent, found: _Scored) -> Suggestion:
    fit = f"{found.candidate.words}; this fits {len(found.labelled.images):,} of {len(content.images):,} pictures"
    split = _split_for(found.labelled)
    return Suggestion(found.candidate.rule, split, fit, round(min(1.0, found.score), 3), found.labelled)


def _tried(
    content: DatasetContent, candidate: _Candidate, masks: frozenset[str], given: Mapping[str, str] | None
) -> _Scored | None:
    try:
        labelled = label_images(content, candidate.rule, pattern=_find)
    except InvalidInput:
        return None  # a table that isn't about labels, for example
    score = candidate.weight * _score(content, labelled, masks) * _agreement(labelled, given or {})
    return _Scored(candidate, labelled, score) if score >= _LEAST else None


def _find(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """A pattern of ours, which needs no limits, in each path."""
    search = re.compile(text).search
    return [found[1] if (found := search(f"/{path}")) else None for path in paths]


def _score(content: DatasetContent, labelled: Labelled, masks: frozenset[str]) -> float:
    label_of = {found.image.id: found.label for found in labelled.images}
    # By digest: an order that has nothing to do with names.
    pictures = sorted((image for image in content.images if image.path not in masks), key=lambda image: image.digest)
    covers_masks = bool(masks) and any(found.image.path in masks for found in labelled.images)
    return sense_of([label_of.get(image.id) for image in pictures]) * (0.5 if covers_masks else 1.0)


def _agreement(labelled: Labelled, given: Mapping[str, str]) -> float:
    if not given:
        return 1.0
    labels = {normal(path): found.label for found in labelled.images for path in found.image.paths}
    met = sum(labels.get(normal(path)) == normal(label) for path, label in given.items())
    return met / len(given)


def _distinct(scored: Sequence[_Scored]) -> list[_Scored]:
    seen: set[tuple[tuple[str, int], ...]] = set()
    kept = []
    for found in scored:
        outcome = tuple(sorted(found.labelled.counts.items()))
        if outcome not in seen:
            seen.add(outcome)
            kept.append(found)
    return kept


# What is tried


def _candidates(content: DatasetContent, masks: frozenset[str]) -> Iterator[_Candidate]:
    yield from _folders(content, masks)
    for table in content.about_images():
        yield _Candidate(CsvRule(file=table), f"the label in the table {table}", 0.99)
    ending = _ending(content)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+)_\d+{ending}"), "the file name up to its last _number", 0.9)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+)-\d+{ending}"), "the file name up to its last -number", 0.9)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+?) ?\(\d+\){ending}"), "the file name up to its (number)", 0.9)
    yield _Candidate(PatternRule(pattern=rf"/([^/\d]+?)[ ._-]?\d+{ending}"), "the file name up to its number", 0.9)
    yield _Candidate(PatternRule(pattern=r"/([^/_-]+)[_-][^/]*$"), "the file name up to its first _ or -", 0.8)


_LEVEL_WORDS: Final = {
    1: "the folder each picture is in",
    2: "the folder above the one each picture is in",
    3: "the folder two above the one each picture is in",
}


def _folders(content: DatasetContent, masks: frozenset[str]) -> Iterator[_Candidate]:
    photos = [image.path for image in content.images if image.path not in masks]
    for level, words in _LEVEL_WORDS.items():
        names = Counter(parts[-level - 1] for path in photos if len(parts := path.split("/")) > level)
        if len(names) < 2 or len(names) > _MOST_FOLDERS:
            continue
        containers = tuple(sorted(name for name in names if is_container(name)))
        if masks:
            endings = "|".join(sorted({re.escape(PurePosixPath(path).suffix) for path in photos}))
            above = "[^/]+/" * (level - 1)
            yield _Candidate(
                PatternRule(pattern=rf"/([^/]+)/{above}[^/]+(?:{endings})$"), f"{words}, without the masks (.png)"
            )
        elif containers and 2 * sum(names[name] for name in containers) < names.total():
            rest = ", ".join(containers[:3])
            yield _Candidate(FolderRule(level=level, leave_out=containers), f"{words}, without {rest}")
        yield _Candidate(FolderRule(level=level), words)
    if prefix := _shared_folder(photos):
        yield _Candidate(PatternRule(pattern=rf"^/{prefix}([^/]+)/"), "the outermost folder", 0.95)


_MOST_FOLDERS: Final = 5_000


def _shared_folder(paths: Sequence[str]) -> str | None:
    """Folders that all paths begin with, as a pattern; None where all pictures lie equally deep."""
    if len({path.count("/") for path in paths}) < 2:
        return None
    shared: list[str] = []
    for names in zip(*(path.split("/")[:-1] for path in paths), strict=False):
        if len({*names}) > 1:
            break
        shared.append(re.escape(names[0]) + "/")
    return "".join(shared)


def _ending(content: DatasetContent) -> str:
    endings = {PurePosixPath(image.path).suffix for image in content.images}
    only = next(iter(endings)) if len(endings) == 1 else ""
    return rf"\{only}$" if only[1:].isalnum() and only.isascii() else r"\.[^./]+$"


# How pictures are held out


def _split_for(labelled: Labelled) -> SplitSpec:
    """By the folders that are called like sides, else by a column of the rule's table, else at random."""
    return _folder_split(labelled) or _column_split(labelled) or RandomSplit()


_SIDE_OF: Final = {word: side for side, words in FOLDER_WORDS.items() for word in words}


def _folder_split(labelled: Labelled) -> FolderSplit | None:
    classes: dict[Split, set[str]] = defaultdict(set)
    names: dict[Split, str] = {}
    for found in labelled.images:
        for part in found.image.path.split("/")[:-1]:
            if (side := _SIDE_OF.get(part.casefold())) is not None:
                classes[side].add(found.label)
                names.setdefault(side, part)
                break
    held_out = Split.VALID if Split.VALID in classes else Split.TEST
    # Where most classes are on one side only, the folders mean something else.
    if 2 * len(classes[Split.TRAIN] & classes[held_out]) < len(labelled.counts):
        return None
    given = {side.value: names[side] for side in names}
    return FolderSplit(**(given | {"valid": names[held_out]} | ({} if held_out is Split.VALID else {"test": "test"})))


def _column_split(labelled: Labelled) -> CsvSplit | None:
    if labelled.table is None:
        return None
    table = labelled.table.table
    for column in _SPLIT_COLUMNS:
        fitting = [name for name in table.columns if name.casefold() == column]
        if fitting and _names_sides(table, fitting[0]):
            return CsvSplit(column=fitting[0])
    return None


_SPLIT_COLUMNS: Final = ("is_valid", "valid", "split", "subset", "set")


def _names_sides(table: Table, column: str) -> bool:
    values = {value.casefold() for value in table.cells(table.column(column)) if value}
    return values <= SIDE_WORDS.keys() and {SIDE_WORDS[value] for value in values} >= {Split.TRAIN, Split.VALID}
