"""Up to thirty pictures whose labels are worth a look, from one of four sources, and how looking has gone so far."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.repository import LabelLedger
from backend.dependencies import Services
from backend.domain.ids import Digest
from backend.domain.manifest import Split
from backend.interpretation import service
from backend.interpretation.answers import AnsweredImage, Filter
from backend.interpretation.repository import RunHead
from backend.interpretation.service import Results
from backend.interpretation.suspects.finding import Found, Suspect
from backend.interpretation.suspects.service import SuspectsFailed, Undecided, found_of, part_of

SPRINT: Final = 30
LAST: Final = 20
"""Of so many that were looked at last, few were wrong: then it is time to stop."""
FEW: Final = 1
_CHOICES: Final = 3
_READ_AT_ONCE: Final = 200


class Source(StrEnum):
    """Where the pictures come from; the ledger of labels says so as ``fix: suspects``."""

    SUSPECTS = "suspects"
    TOP_LOSSES = "top-losses"
    CELL = "cell"
    CLASS = "class"

    @property
    def reason(self) -> str:
        """As the ledger says it."""
        return f"fix: {self.value}"


@dataclass(frozen=True, slots=True)
class FixPicture:
    """A picture to look at.

    Attributes:
        why: why it is here, a sentence.
        choices: up to three other classes that it may belong to, the likeliest first.
    """

    id: str
    digest: Digest
    path: str
    label: str
    split: Split
    why: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reviews:
    """Pictures of a source that were looked at: how many, how many of their labels were wrong, and of the last ones."""

    looked_at: int
    wrong: int
    last: tuple[bool, ...]

    @classmethod
    def of(cls, were_wrong: Sequence[bool]) -> "Reviews":
        """``were_wrong`` of each, the last one last."""
        return cls(len(were_wrong), sum(were_wrong), tuple(were_wrong[-LAST:]))

    @property
    def is_enough(self) -> bool:
        """Whether hardly any of the last ones was wrong."""
        return len(self.last) == LAST and sum(self.last) <= FEW


@dataclass(frozen=True, slots=True)
class Sprint:
    """What a sprint begins with.

    Attributes:
        next: where the sprint after it goes on; None where nothing is left.
        is_computing: the suspects aren't known yet.
    """

    pictures: tuple[FixPicture, ...]
    next: str | None
    reviews: Reviews
    is_computing: bool


def sprint(
    session: Session,
    services: Services,
    head: RunHead,
    results: Results,
    source: Source,
    chosen: Filter,
    *,
    after: str | None = None,
) -> Sprint:
    """The next pictures of a source about which nobody has decided yet; ``after``: those that follow another sprint.

    Raises:
        SuspectsFailed
        CursorUnknown: ``after`` is not the ``next`` of a sprint of this source.
    """
    undecided = Undecided(session, services, head.dataset_id)
    reviews = Reviews.of(LabelLedger(session).reviews(head.dataset_id, head.run_id, source.reason))
    if source is Source.SUSPECTS:
        found = found_of(session, services, head, results.checkpoint_id)
        if found is None:
            return Sprint((), None, reviews, is_computing=True)
        suspects, following = part_of(undecided.suspects(found), found, limit=SPRINT, after=after)
        return Sprint(tuple(_of_suspect(one, found) for one in suspects), following, reviews, is_computing=False)
    found = None
    with suppress(SuspectsFailed):
        # Choices other than what the model predicted are worth no waiting.
        found = found_of(session, services, head, results.checkpoint_id, wait_s=0)
    answers = (
        image
        for image in _answers(session, results, chosen, after)
        if undecided.has(image.image_id, image.digest, image.actual)
    )
    images = [*islice(answers, SPRINT + 1)]
    following = service.cursor_of(images[SPRINT - 1]) if len(images) > SPRINT else None
    pictures = tuple(_of_answer(image, results.split, found) for image in images[:SPRINT])
    return Sprint(pictures, following, reviews, is_computing=False)


def _answers(session: Session, results: Results, chosen: Filter, after: str | None) -> Iterator[AnsweredImage]:
    part, after = service.images(session, results, chosen, limit=_READ_AT_ONCE, after=after)
    yield from part
    while after is not None:
        part, after = service.images(session, results, chosen, limit=_READ_AT_ONCE, after=after)
        yield from part


def _of_suspect(one: Suspect, found: Found) -> FixPicture:
    choices = _choices(found, one.id, one.proposed)
    return FixPicture(one.id, one.digest, one.path, one.label, one.split, one.why, choices)


def _of_answer(image: AnsweredImage, split: Split, found: Found | None) -> FixPicture:
    sure = f"{100 * image.probability_predicted:.0f} % confidence"
    why = (
        f"The model predicted this label with only {sure}, loss {image.loss:.2f}."
        if image.is_right
        else f"The model predicted “{image.predicted}” with {sure}, loss {image.loss:.2f}."
    )
    choices = _choices(found, image.image_id, *(() if image.is_right else (image.predicted,)))
    return FixPicture(image.image_id, image.digest, image.path, image.actual, split, why, choices)


def _choices(found: Found | None, image_id: str, *first: str) -> tuple[str, ...]:
    others = found.choices.get(image_id, ()) if found else ()
    return tuple(dict.fromkeys([*first, *others]))[:_CHOICES]
