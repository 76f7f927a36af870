"""The health check of a dataset: what is wrong with it, the worst first, and what was checked and found clean."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sqlalchemy.orm import Session

from backend.background import Background, Failed
from backend.datasets.examine.repository import ExaminationRepository
from backend.datasets.health.duplicates import duplicates, folder_side
from backend.datasets.health.errors import FindingGone
from backend.datasets.health.finding import Finding, ranked
from backend.datasets.health.names import names
from backend.datasets.health.picture import Material, Picture
from backend.datasets.health.quality import quality
from backend.datasets.health.repository import HealthRepository
from backend.datasets.health.shortcuts import Shortcut, shortcuts
from backend.datasets.health.traits import copy_groups, trait_columns
from backend.datasets.health.words import share_words
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected, present_labels
from backend.datasets.labels.unfrozen import changed_since
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import latest_version
from backend.domain.errors import InvalidInput
from backend.domain.splitting import RandomSplit, parse_spec
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow

_REMEMBERED: Final = 4
Found = tuple[Shortcut, ...]
SHORTCUTS: Final = Background[Found]("health")
"""The heavy check, of this process."""
Status = Literal["none", "running", "done"]


@dataclass(frozen=True)
class Health:
    """A dataset's health.

    Attributes:
        material: what was checked.
        status: ``none`` where pictures wait for an examination that nobody has asked for, ``running`` while checks go
            on; what they have found so far is among the findings.
        share: how far the examination is, in 0 to 1; None where that isn't known.
        findings: the worst first.
        checked: what was checked and found clean: kind and words.
        waiting: what isn't checked yet, in words.
        images: pictures that were looked at.
        unfrozen: pictures whose label differs from the newest version's, which trainings read.
        version: number of that version; None where there is none.
    """

    material: Material
    status: Status
    share: float | None
    findings: Sequence[Finding]
    checked: Sequence[tuple[str, str]]
    waiting: Sequence[str]
    images: int
    unfrozen: int
    version: int | None

    def finding(self, name: str) -> Finding:
        """The finding of this name. Raises FindingGone."""
        for found in self.findings:
            if found.name == name:
                return found
        raise FindingGone


@dataclass(frozen=True)
class _Checked:
    """What follows from the dataset's state alone."""

    material: Material
    findings: Sequence[Finding]
    clean: Sequence[tuple[str, str]]
    unfrozen: int
    version: int | None


def health(session: Session, storage: Storage, dataset_id: str) -> Health:
    """The health of a dataset as far as it is known; never waits for what takes long.

    Raises:
        DatasetNotFound
    """
    stamp, checked = _checked(session, storage, dataset_id)
    material = checked.material
    found = SHORTCUTS.answer(stamp, lambda: _shortcuts(material)) if _can_have_shortcuts(material) else ()
    findings, clean, waiting = [*checked.findings], [*checked.clean], list[str]()
    if found is None:
        waiting.append("Whether something trivial gives a class away")
    elif not isinstance(found, Failed) and _can_have_shortcuts(material):
        findings += _artifacts(material, found)
        if not found:
            clean.append(("class_artifact", "No class that a size, format, border or camera gives away"))
    examination = ExaminationRepository(session).find(dataset_id)
    if examination is not None and not examination.is_over:
        waiting.append("Copies and near copies")
    status: Status = "running" if waiting else "done"
    if examination is None and material.pictures and not waiting:
        status = "none"
    share = examination.share if examination is not None and not examination.is_over else None
    return Health(
        material,
        status,
        share,
        ranked(findings),
        clean,
        waiting,
        len(material.pictures),
        checked.unfrozen,
        checked.version,
    )


def _checked(session: Session, storage: Storage, dataset_id: str) -> tuple[tuple[str, ...], _Checked]:
    content = DatasetContent.of(session, storage, dataset_id)
    stamp = (dataset_id, *HealthRepository(session, dataset_id).stamp())
    return stamp, _CACHE.get(stamp) or _CACHE.put(stamp, _check(content))


def _check(content: DatasetContent) -> _Checked:
    repository = HealthRepository(content.session, content.dataset_id)
    examination = ExaminationRepository(content.session).find(content.dataset_id)
    version = latest_version(content.session, content.dataset_id)
    labels = _labels(content)
    splits = VersionRepository(content.session).splits_of(version.id) if version else {}
    material = _material(content, repository, labels, splits, version)
    of_single, clean_single = quality(material)
    is_compared = examination is not None and examination.is_over
    of_copies, clean_copies = duplicates(material, is_compared=is_compared)
    of_names, clean_names = names(material)
    findings = [*of_single, *of_copies, *of_names]
    if any(finding.kind == "group" for finding in findings):
        clean_names = [pair for pair in clean_names if pair[0] != "group"]
    if any(finding.kind == "leak" for finding in findings):
        clean_copies = [pair for pair in clean_copies if pair[0] != "leak"]
    return _Checked(
        material,
        findings,
        [*clean_copies, *clean_names, *clean_single],
        len(changed_since(content, labels, version.id)) if version and labels else 0,
        version.number if version else None,
    )


def _labels(content: DatasetContent) -> Corrected | None:
    """The present labels; None where the present rule doesn't fit any more."""
    try:
        return present_labels(content)
    except InvalidInput:
        return None


def _material(
    content: DatasetContent,
    repository: HealthRepository,
    labels: Corrected | None,
    splits: dict[str, str],
    version: VersionRow | None,
) -> Material:
    dropped = {image.id for image in labels.dropped} if labels else set[str]()
    label_of = labels.label_of if labels else {}
    names = {image.id: image for image in content.images}
    pictures = [
        Picture(
            facts.id,
            names[facts.id].paths,
            facts.format,
            facts.width,
            facts.height,
            facts.bytes,
            facts.measured,
            label_of.get(facts.id),
            splits.get(facts.id) if version else folder_side(names[facts.id].paths),
            names[facts.id].digest,
        )
        for facts in repository.images()
        if facts.id in names and facts.id not in dropped
    ]
    split = parse_spec(version.split) if version else None
    return Material(
        pictures,
        repository.pairs(),
        [image.id for image in labels.conflicts] if labels else [],
        repository.rejected(),
        None if split is None else isinstance(split, RandomSplit) and split.group is None,
    )


def _can_have_shortcuts(material: Material) -> bool:
    return len({picture.label for picture in material.measured if picture.label is not None}) > 1


def _shortcuts(material: Material) -> Found:
    """Of classes; and of sides, said as a class named ``_SIDE``."""
    labelled = [picture for picture in material.measured if picture.label is not None]
    columns, groups = trait_columns(labelled), copy_groups(material, labelled)
    found = shortcuts(columns, [picture.label or "" for picture in labelled], groups)
    sided = [picture for picture in labelled if picture.split in ("train", "valid")]
    if material.split_is_random is False and sided:
        columns, groups = trait_columns(sided), copy_groups(material, sided)
        of_sides = shortcuts(columns, [picture.split or "" for picture in sided], groups)
        found += [replace(shortcut, label=_SIDE) for shortcut in of_sides[:1]]
    return tuple(found)


_SIDE: Final = "\0side"


def _artifacts(material: Material, found: Sequence[Shortcut]) -> list[Finding]:
    return [_artifact(material, shortcut) for shortcut in found]


def _artifact(material: Material, found: Shortcut) -> Finding:
    right = f"right {share_words(found.accuracy)} of the time, where guessing gives 50 %"
    if found.label == _SIDE:
        held = [picture for picture in material.pictures if picture.split == "valid"]
        message = (
            f"Training and held-out pictures differ by something trivial: {found.trait} tells which is which "
            f"({right}). They come from different sources, so the score says little about new pictures."
        )
        return Finding("class_artifact", "warn", len(held), message, [[one.id] for one in held], about="sides")
    of_class = [picture for picture in material.pictures if picture.label == found.label]
    message = (
        f"Something trivial gives “{found.label}” away: {found.trait} alone tells it from the other classes ({right}). "
        "The model may learn that instead of what the pictures show."
    )
    ids = [[picture.id] for picture in of_class]
    return Finding("class_artifact", "warn", len(of_class), message, ids, about=found.label)


class _Cache:
    """The checks of the datasets that were asked about last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], _Checked] = OrderedDict()

    def get(self, stamp: tuple[str, ...]) -> _Checked | None:
        """What follows from this state, if it is remembered."""
        with self._lock:
            return self._kept.get(stamp)

    def put(self, stamp: tuple[str, ...], checked: _Checked) -> _Checked:
        """Remember in place of what followed from earlier states."""
        with self._lock:
            for old in [other for other in self._kept if other[0] == stamp[0]]:
                del self._kept[old]
            self._kept[stamp] = checked
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return checked


_CACHE: Final = _Cache(_REMEMBERED)
