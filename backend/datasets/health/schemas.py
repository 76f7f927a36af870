"""JSON of the health check."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from backend.datasets.health.acting import Acted
from backend.datasets.health.finding import Action, Finding, Severity
from backend.datasets.health.service import Health

MOST_IDS = 1_000
"""Pictures that are named of one finding; ``images`` says how many there are."""
MOST_GROUPS = 200


class FindingRead(BaseModel):
    """What a check found.

    `image_ids` are at most 1,000; `groups` (at most 200) say which of them belong together, such as a picture with its
    copies. `name` is what an action names; `severity` is `bad`, `warn` or `note`.
    """

    name: str
    kind: str
    severity: Severity
    images: int
    image_ids: list[str]
    groups: list[list[str]]
    message: str
    actions: list[str]

    @classmethod
    def of(cls, found: Finding) -> Self:
        """As JSON."""
        return cls(
            name=found.name,
            kind=found.kind,
            severity=found.severity,
            images=found.images,
            image_ids=found.image_ids[:MOST_IDS],
            groups=[list(group) for group in found.groups[:MOST_GROUPS] if len(group) > 1],
            message=found.message,
            actions=[action.value for action in found.actions],
        )


class CheckedRead(BaseModel):
    """A check that found nothing."""

    kind: str
    message: str


class HealthRead(BaseModel):
    """A dataset's health: findings, the worst first, and what was checked and found clean.

    `status` is `running` while checks go on (`waiting` names them, `progress` says how far the examination is), `none`
    where near copies have not been searched, `done` otherwise. `unfrozen` pictures have another label now than in the
    newest version, which trainings read.
    """

    status: Literal["none", "running", "done"]
    progress: float | None
    images: int
    findings: list[FindingRead]
    checked: list[CheckedRead]
    waiting: list[str]
    unfrozen: int

    @classmethod
    def of(cls, found: Health) -> Self:
        """As JSON."""
        return cls(
            status=found.status,
            progress=found.share,
            images=found.images,
            findings=[FindingRead.of(finding) for finding in found.findings],
            checked=[CheckedRead(kind=kind, message=words) for kind, words in found.checked],
            waiting=list(found.waiting),
            unfrozen=found.unfrozen,
        )


class ActionRequest(BaseModel):
    """What to do about which finding; `image_ids` restricts `leave_out` and `relabel` to some of its pictures."""

    model_config = ConfigDict(extra="forbid")

    finding: str = Field(max_length=400)
    action: Action
    image_ids: list[str] = Field(default_factory=list, max_length=10_000)
    label: str | None = Field(None, max_length=200)


class ActedRead(BaseModel):
    """What an action did: an entry of the ledger of labels, which can be undone by `batch_id`, or a new version."""

    message: str
    batch_id: str | None
    version_id: str | None

    @classmethod
    def of(cls, acted: Acted) -> Self:
        """As JSON."""
        return cls(message=acted.message, batch_id=acted.batch_id, version_id=acted.version_id)
