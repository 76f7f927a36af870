"""Findings as pages show them: a sentence, some of its pictures, and buttons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.datasets.health.finding import Action, Finding
from backend.datasets.health.picture import Picture
from backend.datasets.health.service import Health
from backend.datasets.pictures.flags import FLAGS
from backend.datasets.urls import thumbnail_url

GROUPS_SHOWN: Final = 12
SINGLE_SHOWN: Final = 18
OF_A_GROUP: Final = 6
_BUTTONS: Final = {
    Action.LEAVE_OUT: "Leave {them} out",
    Action.KEEP_ONE: "Keep one of each",
    Action.MOVE_TO_TRAINING: "Move all copies to training",
    Action.KEEP_TOGETHER: "Keep groups together",
}
_SIDES: Final = {"train": "training", "valid": "held out", "test": "final test"}


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture of a finding."""

    id: str
    path: str
    url: str
    thumbnail: str
    label: str
    side: str


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """Pictures that belong together; ``labels`` are those that one of them could be given."""

    pictures: Sequence[ShownPicture]
    ids: Sequence[str]
    labels: Sequence[str]
    more: int


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding on a page.

    Attributes:
        buttons: actions on all of its pictures, with their words.
        groups: copies and the like, a row each; empty where its pictures are single ones.
        singles: single pictures.
        more: pictures or groups that are not shown.
        list_path: where all of its pictures are listed; empty where no filter means them.
    """

    name: str
    severity: str
    message: str
    buttons: Sequence[tuple[str, str]]
    groups: Sequence[ShownGroup]
    singles: Sequence[ShownPicture]
    more: int
    can_relabel: bool
    list_path: str


@dataclass(frozen=True, slots=True)
class ShownHealth:
    """The health of a dataset on a page; ``progress_words`` are empty once everything is checked."""

    findings: Sequence[ShownFinding]
    checked: Sequence[str]
    waiting: Sequence[str]
    progress_words: str
    is_running: bool
    is_compared: bool
    images: int
    unfrozen: int
    version: int | None


def health_view(dataset_id: str, found: Health, most: int | None = None) -> ShownHealth:
    """The health of a dataset for a page; at most ``most`` findings."""
    running = ""
    if found.status == "running":
        share = "" if found.share is None else f" ({100 * found.share:.0f} %)"
        running = f"Checks are still running{share}. You can train now; what turns up will be shown here."
    return ShownHealth(
        [_shown(dataset_id, finding, found.material.by_id) for finding in found.findings[:most]],
        [words for _, words in found.checked],
        found.waiting,
        running,
        found.status == "running",
        found.status != "none",
        found.images,
        found.unfrozen,
        found.version,
    )


def _shown(dataset_id: str, found: Finding, by_id: Mapping[str, Picture]) -> ShownFinding:
    def shown(image_id: str) -> ShownPicture:
        picture = by_id[image_id]
        return ShownPicture(
            image_id,
            picture.path,
            f"/datasets/{dataset_id}/images/{image_id}",
            thumbnail_url(image_id, digest=picture.digest),
            picture.label or "",
            _SIDES.get(picture.split or "", ""),
        )

    groups = [[image_id for image_id in group if image_id in by_id] for group in found.groups]
    are_single = all(len(group) < 2 for group in groups) and found.about != "names"
    shown_groups = [] if are_single else groups[:GROUPS_SHOWN]
    singles = groups[:SINGLE_SHOWN] if are_single else []
    them = "it" if found.images == 1 else "them"
    flag = found.kind if found.kind in FLAGS and not found.about else ""
    return ShownFinding(
        found.name,
        found.severity,
        found.message,
        [(action.value, _BUTTONS[action].format(them=them)) for action in found.actions if action in _BUTTONS],
        [
            ShownGroup(
                [shown(image_id) for image_id in group[:OF_A_GROUP]],
                group,
                _choices([by_id[image_id] for image_id in group]) if Action.RELABEL in found.actions else (),
                max(0, len(group) - OF_A_GROUP),
            )
            for group in shown_groups
        ],
        [shown(image_id) for group in singles for image_id in group],
        len(groups) - len(shown_groups or singles),
        Action.RELABEL in found.actions,
        f"/datasets/{dataset_id}/images?flag={flag}" if flag else "",
    )


def _choices(group: Sequence[Picture]) -> list[str]:
    """Labels that these copies have; of one picture with several names, the folders' names too."""
    labels = {picture.label for picture in group if picture.label}
    if len(group) == 1:
        labels |= {path.split("/")[-2] for path in group[0].paths if "/" in path}
    return sorted(labels)
