"""One thing that a check found, and the order in which findings are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Severity = Literal["bad", "warn", "note"]


class Action(StrEnum):
    """What can be done about a finding with one click."""

    SEE = "see"
    LEAVE_OUT = "leave_out"
    KEEP_ONE = "keep_one"
    MOVE_TO_TRAINING = "move_to_training"
    KEEP_TOGETHER = "keep_together"
    RELABEL = "relabel"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        kind: its name for programs; one kind may have several findings, then ``about`` tells them apart.
        images: number of pictures (or files) it is about.
        groups: ids of these pictures; those that belong together, such as copies, stand in one group.
        message: a sentence, or two.
        actions: what can be done.
        about: what it is about besides pictures: a class, or a pattern that finds groups.
        targets: ids that an action changes, where it isn't all of them.
    """

    kind: str
    severity: Severity
    images: int
    message: str
    groups: Sequence[Sequence[str]] = ()
    actions: tuple[Action, ...] = (Action.SEE,)
    about: str = ""
    targets: Sequence[str] = ()

    @property
    def image_ids(self) -> list[str]:
        """Its pictures, each once."""
        return list(dict.fromkeys(image_id for group in self.groups for image_id in group))

    @property
    def name(self) -> str:
        """Tells it from the other findings of a dataset."""
        return f"{self.kind}:{self.about}" if self.about else self.kind


_ORDER: Final = (
    "label_conflict",
    "leak",
    "class_artifact",
    "mask",
    "group",
    "near_duplicate",
    "exact_duplicate",
    "unreadable",
    "truncated",
    "blank",
    "imbalance",
    "blurred",
    "dark",
    "light",
    "tiny",
    "huge",
    "odd_aspect",
    "odd_size",
    "wrong_extension",
    "turned",
)
"""Kinds of findings by the harm that they usually do."""
_SEVERITIES: Final = ("bad", "warn", "note")


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """The most harmful first."""
    return sorted(
        findings,
        key=lambda found: (_SEVERITIES.index(found.severity), _ORDER.index(found.kind), -found.images, found.about),
    )
