"""The labels of a run that are probably wrong and that nobody has decided about yet."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.orm import Session

from backend.background import Background, Failed
from backend.datasets.examine.embeddings import embeddings_file
from backend.datasets.labels.by_hand.queue import labels_to_correct
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.repository import LabelLedger
from backend.dependencies import Services
from backend.domain.errors import Unavailable
from backend.domain.ids import CheckpointId, Digest
from backend.interpretation.repository import RunHead
from backend.interpretation.suspects.finding import Found, Suspect, find_suspects
from backend.interpretation.suspects.repository import SuspectRepository
from backend.pagination import CursorUnknown

_WAIT_S: Final = 1.5
"""Small sets are answered at once; of larger ones it is said that they are being computed."""
SUSPECTS: Final = Background[Found]("suspects")


class SuspectsFailed(Unavailable):
    """The search ended with a fault of ours."""

    code = "suspects-failed"

    def __init__(self) -> None:
        super().__init__(
            "The search for wrong labels failed; the reason is in the server's log.",
            advice="Look at the top losses instead, and report the fault.",
        )


class Undecided:
    """Which pictures still have the label that a version froze, and nobody has confirmed it since."""

    def __init__(self, session: Session, services: Services, dataset_id: str) -> None:
        content = DatasetContent.of(session, services.storage, dataset_id)
        self.label_of: Mapping[str, str] = labels_to_correct(content).label_of
        self._decided = LabelLedger(session).decided(dataset_id)

    def has(self, image_id: str, digest: Digest, label: str) -> bool:
        """Whether a picture's label is still to be looked at."""
        return self.label_of.get(image_id) == label and self._decided.get(digest) != label

    def suspects(self, found: Found) -> list[Suspect]:
        """Those that are left; a copy whose partners have its label by now is no suspect any more."""
        return [suspect for suspect in found.suspects if self._is_open(suspect)]

    def _is_open(self, suspect: Suspect) -> bool:
        if not self.has(suspect.id, suspect.digest, suspect.label):
            return False
        agreed = {self.label_of.get(copy, suspect.label) for copy in suspect.copies} == {suspect.label}
        return not (suspect.is_only_copy and agreed)


def found_of(
    session: Session, services: Services, head: RunHead, checkpoint_id: CheckpointId, *, wait_s: float = _WAIT_S
) -> Found | None:
    """What was found out about the labels of a run's version; None while it is being computed.

    Raises:
        SuspectsFailed
    """
    folder = services.settings.features_folder
    try:
        examined_at = str(embeddings_file(folder, head.dataset_id).stat().st_mtime_ns)
    except OSError:
        examined_at = ""
    key = (head.run_id, checkpoint_id, examined_at, *SuspectRepository(session).stamp(head.dataset_id))
    answer = SUSPECTS.answer(
        key,
        lambda: find_suspects(services.database, services.storage, folder, head, checkpoint_id),
        wait_s=wait_s,
    )
    if isinstance(answer, Failed):
        raise SuspectsFailed
    return answer


def part_of(
    suspects: Sequence[Suspect], found: Found, *, limit: int, after: str | None
) -> tuple[Sequence[Suspect], str | None]:
    """Suspects that come after the one with the id ``after``, and the id to go on after.

    Raises:
        CursorUnknown: the list has changed, or it never had such a suspect.
    """
    place = {suspect.id: place for place, suspect in enumerate(found.suspects)}
    if after is not None and after not in place:
        raise CursorUnknown(after)
    # What has been decided meanwhile is gone from the list, but still marks where to go on.
    rest = suspects if after is None else [one for one in suspects if place[one.id] > place[after]]
    return rest[:limit], rest[limit - 1].id if len(rest) > limit else None
