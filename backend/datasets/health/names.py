"""Checks of names alone, which need no picture: masks beside images, versions of one source on both sides, groups."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from backend.datasets.health.finding import Action, Finding
from backend.datasets.health.picture import HELD_OUT, Material, Picture, is_torn
from backend.datasets.health.words import are, listed, pictures

_VARIANT: Final = re.compile(
    r"(?:[._-]rf[._-][0-9a-f]{16,}"
    r"|[ _-]*\((?:\d+)\)"
    r"|[ _-]+(?:copy|kopie|aug(?:mented)?|flip(?:ped)?|rot(?:ated)?|resized|crop(?:ped)?|mirror(?:ed)?)[ _-]?\d*)$",
    re.IGNORECASE,
)
"""What programs add to the name of a changed copy; ``.rf.`` and a hash is Roboflow's."""
_MASK: Final = re.compile(r"[ _-](?:mask|seg|segmentation|gt|groundtruth|label)s?$", re.IGNORECASE)
_MASK_FOLDER: Final = re.compile(r"^(?:masks?|segmentations?|ground_?truths?|annotations?)$", re.IGNORECASE)
_MASK_ENTROPY: Final = 2.5
"""Bits of grey values that a mask has at most: it knows few greys."""

GROUP_PATTERNS: Final = (
    r"(?i)[/_ .-]((?:patient|subject|animal|person|case|site|plot|video|clip|scene|session|burst|series|slide|specimen)"
    r"[_ -]?[0-9]+)",
    r"/([^/]*?[0-9]+)[^/0-9]+[0-9]+[^/0-9]*\.[^./]+$",
    r"/([^/]*[0-9][^/]*)/[^/]+$",
)
"""Patterns that may find what belongs together: a word and a number, the first of two numbers, a numbered folder."""
_GROUPS_AT_LEAST: Final = 5
_COVERED: Final = 0.9


def names(material: Material) -> tuple[list[Finding], list[tuple[str, str]]]:
    """Findings by name; and checks that found nothing."""
    masks, leaks, groups = _masks(material), _leaks(material), _groups(material)
    clean = [] if masks else [("mask", "No masks beside their pictures")]
    if not groups and material.split_is_random is not None:
        clean.append(("group", "No groups in the names (patients, places, series) that the split tears apart"))
    return [*masks, *leaks, *groups], clean


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _masks(material: Material) -> list[Finding]:
    beside: dict[str, list[Picture]] = defaultdict(list)
    for picture in material.pictures:
        folder, _, _ = picture.path.rpartition("/")
        beside[f"{folder}/{_stem(picture.path)}"].append(picture)
    stems = {_stem(picture.path) for picture in material.pictures}
    found = [
        picture
        for picture in material.pictures
        if _may_be_mask(picture) and (_has_image_beside(picture, beside) or _is_called_mask(picture, stems))
    ]
    if not found:
        return []
    one = len(found) == 1
    message = (
        f"{pictures(len(found))} {'looks' if one else 'look'} like {'a mask' if one else 'masks'} beside the real "
        f"{'picture' if one else 'pictures'}, such as {listed([found[0].path])}. "
        "A mask shows the answer and no photograph."
    )
    ids = [[picture.id] for picture in found]
    return [Finding("mask", "bad", len(found), message, ids, (Action.SEE, Action.LEAVE_OUT))]


def _may_be_mask(picture: Picture) -> bool:
    is_lossless = picture.format in ("PNG", "BMP", "TIFF", "GIF")
    return is_lossless and (picture.measured is None or picture.measured.entropy <= _MASK_ENTROPY)


def _has_image_beside(picture: Picture, beside: dict[str, list[Picture]]) -> bool:
    folder, _, _ = picture.path.rpartition("/")
    stem = _MASK.sub("", _stem(picture.path))
    return any(
        other.id != picture.id and (other.format != picture.format or stem != _stem(picture.path))
        for other in beside.get(f"{folder}/{stem}", ())
    )


def _is_called_mask(picture: Picture, stems: set[str]) -> bool:
    in_folder = any(_MASK_FOLDER.match(part) for part in picture.path.split("/")[:-1])
    stem = _MASK.sub("", _stem(picture.path))
    return in_folder and stem in stems


def _leaks(material: Material) -> list[Finding]:
    """Changed copies of one source, by their names, on both sides."""
    sources: dict[str, list[Picture]] = defaultdict(list)
    for picture in material.pictures:
        if picture.split is not None:
            sources[_source(_stem(picture.path))].append(picture)
    torn = [
        group
        for source, group in sources.items()
        if len(group) > 1 and any(_stem(picture.path) != source for picture in group) and is_torn(group)
    ]
    if not torn:
        return []
    count = sum(len(group) for group in torn)
    held = [picture.id for group in torn for picture in group if picture.split in HELD_OUT]
    example = listed([_stem(picture.path) for picture in torn[0]], 2)
    message = (
        f"By their names, {are(count)} versions of {len(torn):,} {'source' if len(torn) == 1 else 'sources'} that "
        f"{'lies' if len(torn) == 1 else 'lie'} on both sides, such as {example}."
    )
    ids = [[picture.id for picture in group] for group in torn]
    actions = (Action.SEE, Action.MOVE_TO_TRAINING)
    return [Finding("leak", "bad", count, message, ids, actions, about="names", targets=held)]


def _source(stem: str) -> str:
    while (shorter := _VARIANT.sub("", stem)) != stem and shorter:
        stem = shorter
    return stem


def _groups(material: Material) -> list[Finding]:
    if not material.split_is_random:
        return []
    labelled = [picture for picture in material.pictures if picture.label is not None and picture.split is not None]
    for pattern in GROUP_PATTERNS:
        groups = groups_of(pattern, labelled)
        torn = [group for group in groups.values() if is_torn(group)]
        if not torn:
            continue
        names = [name for name, group in groups.items() if is_torn(group)]
        message = (
            f"By their names, the pictures come in {len(groups):,} groups, such as {listed(names, 2)}, and "
            f"{len(torn):,} of them {'lies' if len(torn) == 1 else 'lie'} on both sides. Pictures of one patient, "
            "animal, place or series are alike, so the score comes out too good."
        )
        ids = [[picture.id for picture in group] for group in torn]
        count = sum(len(group) for group in torn)
        actions = (Action.SEE, Action.KEEP_TOGETHER)
        return [Finding("group", "warn", count, message, ids, actions, about=pattern)]
    return []


def groups_of(pattern: str, pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Pictures by the group that a pattern finds; empty where it finds none, too few, or just the classes."""
    compiled = re.compile(pattern)
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        if found := compiled.search(f"/{picture.path}"):
            groups[found[1]].append(picture)
    covered = sum(map(len, groups.values()))
    if covered < _COVERED * len(pictures) or len(groups) < _GROUPS_AT_LEAST or covered < 2 * len(groups):
        return {}
    labels = Counter(frozenset(picture.label for picture in group) for group in groups.values())
    classes = {picture.label for picture in pictures}
    # One group for each class is the class and no group.
    if len(groups) <= len(classes) and all(len(label) == 1 for label in labels):
        return {}
    return groups
