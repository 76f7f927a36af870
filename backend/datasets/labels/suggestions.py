"""Rules that would fit a dataset, found by trying the usual ones."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from backend.datasets.labels.apply import Labelled, label_images
from backend.datasets.labels.content import DatasetContent, Names
from backend.datasets.labels.tables import table_words
from backend.datasets.samples import Sample
from backend.domain.errors import InvalidInput
from backend.domain.images import normal
from backend.domain.labels.json_tables import JsonLayout
from backend.domain.labels.rules import CsvRule, FolderRule, PatternRule, RuleSpec, parse_spec
from backend.domain.labels.sense import is_container, masks_among, nests, sense_of
from backend.domain.labels.tables import Table
from backend.domain.manifest import FOLDER_WORDS, SIDE_WORDS, Split
from backend.domain.splitting import CsvSplit, FolderSplit, RandomSplit, SplitSpec
from backend.domain.splitting import parse_spec as parse_split

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


_KNOWN: Final[WeakKeyDictionary[Names, tuple[tuple[str, ...], list[Suggestion]]]] = WeakKeyDictionary()
"""What was found for names that requests share, and for which tables."""


def suggest(content: DatasetContent, given: Mapping[str, str] | None = None) -> list[Suggestion]:
    """Rules that would fit, the best first; ``given`` are labels that are known already, by path."""
    tables = tuple(row.id for row in content.tables)
    known = _KNOWN.get(content.names)
    if not given and known and known[0] == tables:
        return known[1]
    found = _found(content, given or {})
    if not given:
        _KNOWN[content.names] = (tables, found)
    return found


def _found(content: DatasetContent, given: Mapping[str, str]) -> list[Suggestion]:
    masks = masks_among([image.path for image in content.images])
    tried = (_tried(content, candidate, masks, given) for candidate in _candidates(content, masks))
    # Stable: of equals, the simpler one that was tried first.
    scored = sorted((found for found in tried if found), key=lambda found: -found.score)
    suggestions = [_suggestion(content, found) for found in _distinct(scored)[:SHOWN]]
    samples = () if given else content.samples
    known = [found for sample in samples if (found := _of_sample(content, sample)) is not None][:1]
    return [*known, *(found for found in suggestions if found.rule not in [sample.rule for sample in known])][:SHOWN]


def _of_sample(content: DatasetContent, sample: Sample) -> Suggestion | None:
    """The rule of a sample whose pictures these are; None where it leaves some of them out."""
    rule, split = parse_spec(sample.rule), parse_split(sample.split)
    try:
        labelled = label_images(content, rule)
    except InvalidInput:
        return None  # its table hasn't come yet, for example
    if not labelled.images or len(labelled.images) < len(content.images):
        return None
    return Suggestion(rule, split, f"the rule of {sample.title}", 1.0, labelled)


def _suggestion(content: DatasetContent, found: _Scored) -> Suggestion:
    fit = f"{found.candidate.words}; this fits {len(found.labelled.images):,} of {len(content.images):,} pictures"
    split = _split_for(content, found.labelled)
    return Suggestion(found.candidate.rule, split, fit, round(min(1.0, found.score), 3), found.labelled)


def _tried(
    content: DatasetContent, candidate: _Candidate, masks: frozenset[str], given: Mapping[str, str]
) -> _Scored | None:
    if isinstance(candidate.rule, PatternRule) and not _is_promising(content, candidate.rule):
        return None
    try:
        labelled = label_images(content, candidate.rule, pattern=_find)
        if isinstance(candidate.rule, PatternRule) and (strays := _strays(labelled)):
            candidate = _Candidate(
                candidate.rule.model_copy(update={"leave_out": strays}),
                f"{candidate.words}, without {', '.join(strays[:3])}",
                candidate.weight,
            )
            labelled = label_images(content, candidate.rule, pattern=_find)
    except InvalidInput:
        return None  # a table that isn't about labels, for example
    score = candidate.weight * _score(content, labelled, masks) * _agreement(labelled, given)
    return _Scored(candidate, labelled, score) if score >= _LEAST else None


def _strays(labelled: Labelled) -> tuple[str, ...]:
    """Classes of a folder such as ``test_images`` that has none of the others: what it shows isn't in the names."""
    classes: dict[bool, set[str]] = {True: set(), False: set()}
    for found in labelled.images:
        classes[_side(found.image.path)[0] is Split.TRAIN].add(found.label)
    apart = classes[False]
    return tuple(sorted(apart)) if apart.isdisjoint(classes[True]) and len(classes[True]) > len(apart) else ()


def _is_promising(content: DatasetContent, rule: PatternRule) -> bool:
    """Whether a pattern makes any sense on a part of the images; only then all are labelled."""
    sample = content.names.mixed[:_SAMPLE]
    return len(sample) < _SAMPLE or sense_of(_find(rule.pattern, [normal(image.path) for image in sample])) > 0


_SAMPLE: Final = 2_000


def _find(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """A pattern of ours, which needs no limits, in each path."""
    search = re.compile(text).search
    return [found[1] if (found := search(f"/{path}")) else None for path in paths]


def _score(content: DatasetContent, labelled: Labelled, masks: frozenset[str]) -> float:
    label_of = {found.image.id: found.label for found in labelled.images}
    labels = [label_of.get(image.id) for image in content.names.mixed if image.path not in masks]
    covers_masks = bool(masks) and any(found.image.path in masks for found in labelled.images)
    return sense_of(labels) * (0.5 if covers_masks else 1.0)


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
    # Those that belong together come first: each by itself would leave pictures without a label.
    tables = sorted(content.about_images().items(), key=lambda found: len(found[1].files) == 1)
    for file, read in tables:
        # What we wrote ourselves knows more than folders do, whose names aren't always those of the classes.
        weight = _SURE if read.layout == JsonLayout.TELLAPART else 0.99
        yield _Candidate(CsvRule(file=file), f"the label in {table_words(read)}", weight)
    ending = _ending(content)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+)_\d+{ending}"), "the file name up to its last _number", 0.9)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+)-\d+{ending}"), "the file name up to its last -number", 0.9)
    yield _Candidate(PatternRule(pattern=rf"/([^/]+?) ?\(\d+\){ending}"), "the file name up to its (number)", 0.9)
    yield _Candidate(PatternRule(pattern=rf"/([^/\d]+?)[ ._-]?\d+{ending}"), "the file name up to its number", 0.9)
    yield _Candidate(PatternRule(pattern=r"/([^/_-]+)[_-][^/]*$"), "the file name up to its first _ or -", 0.8)


_SURE: Final = 1.5
_LEVEL_WORDS: Final = {
    1: "the folder each picture is in",
    2: "the folder above the one each picture is in",
    3: "the folder two above the one each picture is in",
}


def _folders(content: DatasetContent, masks: frozenset[str]) -> Iterator[_Candidate]:
    photos = [normal(image.path) for image in content.images if image.path not in masks]
    folders = {path.rpartition("/")[0] for path in photos}
    for level, words in _LEVEL_WORDS.items():
        names = Counter(parts[-level - 1] for path in photos if len(parts := path.rsplit("/", level + 1)) > level)
        if len(names) < 2 or len(names) > _MOST_FOLDERS:
            continue
        weight = 0.9 if level == 1 and nests([folder.split("/") for folder in folders if folder]) else 1.0
        containers = tuple(sorted(name for name in names if is_container(name)))
        if masks and (pattern := _without_masks(photos, masks, level)):
            yield _Candidate(PatternRule(pattern=pattern), f"{words}, without the masks", weight)
        elif containers and 2 * sum(names[name] for name in containers) < names.total():
            rest = ", ".join(containers[:3])
            yield _Candidate(FolderRule(level=level, leave_out=containers), f"{words}, without {rest}", weight)
        yield _Candidate(FolderRule(level=level), words, weight)
    if (prefix := _shared_folder(photos)) is not None:
        yield _Candidate(PatternRule(pattern=rf"^/{prefix}([^/]+)/"), "the outermost folder", 0.95)


_MOST_FOLDERS: Final = 5_000


def _without_masks(photos: Sequence[str], masks: frozenset[str], level: int) -> str | None:
    """A pattern for the folder at ``level`` that fits no mask: by the ending, else by the folder they aren't in."""
    endings = {_suffix(path) for path in photos}
    if endings.isdisjoint(map(_suffix, masks)):
        ending = "|".join(sorted(map(re.escape, endings)))
        return rf"/([^/]+)/{'[^/]+/' * (level - 1)}[^/]+(?:{ending})$"
    inner = {path.split("/")[-2] for path in photos if "/" in path}
    if level == 2 and len(inner) <= _FEW_FOLDERS and inner.isdisjoint(path.split("/")[-2] for path in masks):
        return rf"/([^/]+)/(?:{'|'.join(sorted(map(re.escape, inner)))})/[^/]+$"
    return None


_FEW_FOLDERS: Final = 5


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
    endings = {_suffix(image.path) for image in content.images}
    only = next(iter(endings)) if len(endings) == 1 else ""
    return rf"\{only}$" if only[1:].isalnum() and only.isascii() else r"\.[^./]+$"


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return f".{ending}" if dot and stem else ""


# How pictures are held out


def _split_for(content: DatasetContent, labelled: Labelled) -> SplitSpec:
    """By the folders that are called like sides, else by a column of the rule's table, else at random.

    Of a version that was exported, its own split.
    """
    if labelled.table is not None and labelled.table.layout == JsonLayout.TELLAPART:
        return _column_split(labelled) or RandomSplit()
    return _folder_split(content, labelled) or _column_split(labelled) or RandomSplit()


def _folder_split(content: DatasetContent, labelled: Labelled) -> FolderSplit | None:
    label_of = {found.image.id: found.label for found in labelled.images}
    classes: dict[Split, set[str]] = defaultdict(set)
    names: dict[Split, Counter[str]] = defaultdict(Counter)
    for image in content.images:
        side, name = _side(image.path)
        names[side][name] += 1
        if image.id in label_of:
            classes[side].add(label_of[image.id])
    held_out = Split.VALID if Split.VALID in classes else Split.TEST
    # Where most classes are on one side only, the folders mean something else.
    if 2 * len(classes[Split.TRAIN] & classes[held_out]) < len(labelled.counts):
        return None
    called = {side: found.most_common(1)[0][0] for side, found in names.items() if found}
    rest = {"test": called[Split.TEST]} if held_out is Split.VALID and Split.TEST in called else {}
    return FolderSplit(train=called[Split.TRAIN], valid=called[held_out], **rest)


def _side(path: str) -> tuple[Split, str]:
    """The side that a path's folders name, and how; pictures in ``images`` beside ``test_images`` are learnt from."""
    folders = path.split("/")[:-1]
    for folder in folders:
        sides = {_SIDE_OF[word] for word in re.findall(r"[^\W\d_]+", folder.casefold()) if word in _SIDE_OF}
        if len(sides) == 1 and is_container(folder):
            return sides.pop(), folder
    return Split.TRAIN, next((folder for folder in folders if is_container(folder)), "train")


_SIDE_OF: Final = {word: side for side, words in FOLDER_WORDS.items() for word in words}


def _column_split(labelled: Labelled) -> CsvSplit | None:
    if labelled.table is None:
        return None
    table = labelled.table.table
    for column in _SPLIT_COLUMNS:
        fitting = [name for name in table.columns if name.casefold() == column]
        if fitting and _names_sides(table, fitting[0]):
            return CsvSplit(column=fitting[0])
    return None


_SPLIT_COLUMNS: Final = ("is_valid", "valid", "split", "subset", "set", "partition", "phase")


def _names_sides(table: Table, column: str) -> bool:
    values = {value.casefold() for value in table.cells(table.column(column)) if value}
    if not values <= SIDE_WORDS.keys():
        return False
    sides = {SIDE_WORDS[value] for value in values}
    return Split.TRAIN in sides and len(sides) > 1
