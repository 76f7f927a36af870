"""Checks of pictures that show the same: with different labels, on both sides of the split, or only twice."""

from collections.abc import Sequence
from typing import Final

from backend.datasets.examine.copies import PairKind
from backend.datasets.health.finding import Action, Finding
from backend.datasets.health.picture import HELD_OUT, Material, Picture, is_torn
from backend.datasets.health.words import listed, pictures
from backend.domain.manifest import FOLDER_WORDS

COPIES = (PairKind.SAME_PIXELS, PairKind.SAME_PICTURE)


def duplicates(material: Material, *, is_compared: bool) -> tuple[list[Finding], list[tuple[str, str]]]:
    """Findings of copies, each group of copies in the most harmful one; and checks that found nothing.

    Args:
        is_compared: whether all pictures have been compared, so that finding nothing means that there is nothing.
    """
    groups = material.groups(*COPIES)
    conflicts = [group for group in groups if len(_labels(group)) > 1]
    agreeing = [group for group in groups if len(_labels(group)) < 2]
    leaks = [group for group in agreeing if is_torn(group)]
    same = {pair.second for pair in material.pairs if pair.kind is PairKind.SAME_PIXELS}
    exact, near = list[list[Picture]](), list[list[Picture]]()
    for group in agreeing:
        if not is_torn(group):
            (exact if sum(picture.id in same for picture in group) == len(group) - 1 else near).append(group)
    findings = [
        *_label_conflicts(conflicts),
        *_label_conflicts_of_names(material),
        *_leaks(leaks),
        *_leaks_of_names(material),
        *_near(near),
        *_exact(exact),
        *_several_names(material),
        *_moments(material),
    ]
    found = {finding.kind for finding in findings}
    clean = [(kind, words) for kind, words in _CLEAN if kind not in found] if is_compared else []
    if not any(picture.split for picture in material.pictures):
        clean = [(kind, words) for kind, words in clean if kind != "leak"]
    return findings, clean


_CLEAN = (
    ("label_conflict", "No picture with two labels"),
    ("leak", "No copies across training and validation"),
    ("near_duplicate", "No near copies (resized, recompressed, cropped or flipped)"),
    ("exact_duplicate", "No exact copies"),
)


def _labels(group: Sequence[Picture]) -> list[str]:
    return sorted({picture.label for picture in group if picture.label is not None})


def _ids(groups: Sequence[Sequence[Picture]]) -> list[list[str]]:
    return [[picture.id for picture in group] for group in groups]


def _count(groups: Sequence[Sequence[Picture]]) -> int:
    return sum(len(group) for group in groups)


def _label_conflicts(groups: Sequence[Sequence[Picture]]) -> list[Finding]:
    if not groups:
        return []
    labels = _labels(groups[0])
    times = "is there twice or more" if len(groups) == 1 else "are there twice or more"
    message = f"{pictures(len(groups))} {times}, with different labels, such as {listed(labels, 2)}."
    message += " At least one of these labels is wrong, and the model learns a contradiction."
    actions = (Action.SEE, Action.RELABEL, Action.LEAVE_OUT)
    return [Finding("label_conflict", "bad", _count(groups), message, _ids(groups), actions)]


def _label_conflicts_of_names(material: Material) -> list[Finding]:
    found = [material.by_id[image_id] for image_id in material.conflicts if image_id in material.by_id]
    if not found:
        return []
    one = len(found) == 1
    message = (
        f"{pictures(len(found))} {'was' if one else 'were'} added under names that give different labels, such as "
    )
    message += f"{listed(found[0].paths, 2)}. The first name counts, which may be wrong."
    ids = [[picture.id] for picture in found]
    actions = (Action.SEE, Action.RELABEL, Action.LEAVE_OUT)
    return [Finding("label_conflict", "bad", len(found), message, ids, actions, about="names")]


def _leaks(groups: Sequence[Sequence[Picture]]) -> list[Finding]:
    if not groups:
        return []
    held = [picture.id for group in groups for picture in group if picture.split in HELD_OUT]
    times = "lies" if len(groups) == 1 else "lie"
    message = (
        f"{pictures(len(groups))} {times} on both sides: copies of what the model learns from are held out for "
        "testing, so its score comes out too good."
    )
    actions = (Action.SEE, Action.MOVE_TO_TRAINING, Action.KEEP_ONE)
    return [Finding("leak", "bad", _count(groups), message, _ids(groups), actions, targets=held)]


def _leaks_of_names(material: Material) -> list[Finding]:
    """Pictures whose bytes lie in folders of both sides: they are one picture here, on one side."""
    found = [picture for picture in material.pictures if len(picture.paths) > 1 and len(_sides(picture.paths)) > 1]
    if not found:
        return []
    lies = "lies" if len(found) == 1 else "lie"
    message = (
        f"{pictures(len(found))} {lies} in the folders of both sides, such as {listed(found[0].paths, 2)}. "
        "With a split by folder they are held out only, so they are not learnt from as well."
    )
    return [Finding("leak", "note", len(found), message, [[picture.id] for picture in found], about="folders")]


def folder_side(paths: Sequence[str]) -> str | None:
    """The side that folders of these names mean, for datasets of which nobody has made a version yet."""
    return min(_sides(paths), default=None)


_SIDE_OF_WORD: Final = {word: side.value for side, words in FOLDER_WORDS.items() for word in words}


def _sides(paths: Sequence[str]) -> set[str]:
    parts = (part.casefold() for path in paths for part in path.split("/")[:-1])
    return {_SIDE_OF_WORD[part] for part in parts if part in _SIDE_OF_WORD}


def _near(groups: Sequence[Sequence[Picture]]) -> list[Finding]:
    if not groups:
        return []
    more = _count(groups) - len(groups)
    one = len(groups) == 1
    message = (
        f"{pictures(len(groups))} {'is' if one else 'are'} there more than once: resized, recompressed, slightly "
        f"cropped or flipped. {more:,} {'copy adds' if more == 1 else 'copies add'} nothing new to learn."
    )
    return [Finding("near_duplicate", "warn", _count(groups), message, _ids(groups), (Action.SEE, Action.KEEP_ONE))]


def _exact(groups: Sequence[Sequence[Picture]]) -> list[Finding]:
    if not groups:
        return []
    one = len(groups) == 1
    message = f"{pictures(len(groups))} {'is' if one else 'are'} there more than once, with the same pixels."
    return [Finding("exact_duplicate", "warn", _count(groups), message, _ids(groups), (Action.SEE, Action.KEEP_ONE))]


def _several_names(material: Material) -> list[Finding]:
    found = [picture for picture in material.pictures if len(picture.paths) > 1]
    if not found:
        return []
    files = sum(len(picture.paths) for picture in found) - len(found)
    one = len(found) == 1
    message = (
        f"{pictures(len(found))} came more than once, byte for byte ({files:,} {'copy' if files == 1 else 'copies'}). "
        f"{'It counts' if one else 'Each counts'} once, so there is nothing to do."
    )
    return [Finding("exact_duplicate", "note", len(found), message, [[picture.id] for picture in found], about="bytes")]


def _moments(material: Material) -> list[Finding]:
    momentary = {pair.first for pair in material.pairs if pair.kind is PairKind.SAME_MOMENT}
    connected = material.groups(PairKind.SAME_MOMENT, *COPIES)
    groups = [group for group in connected if any(picture.id in momentary for picture in group)]
    torn = [group for group in groups if is_torn(group)]
    if not groups:
        return []
    what = f"{pictures(_count(groups))} were taken moments apart ({len(groups):,} series)"
    if not torn:
        message = f"{what}. They are similar and no copies; keep them on one side when you split."
        return [Finding("group", "note", _count(groups), message, _ids(groups), about="moments")]
    held = [picture.id for group in torn for picture in group if picture.split in HELD_OUT]
    message = f"{what}, and {len(torn):,} of these {'series lies' if len(torn) == 1 else 'series lie'} on both sides. "
    message += "The model is tested on nearly what it has learnt, so its score comes out too good."
    actions = (Action.SEE, Action.MOVE_TO_TRAINING)
    return [Finding("group", "warn", _count(torn), message, _ids(torn), actions, about="moments", targets=held)]
