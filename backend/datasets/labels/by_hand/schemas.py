"""What the API of labelling by hand gives."""

from typing import Self

from pydantic import BaseModel

from backend.datasets.labels.by_hand.queue import POLICY_WORDS, Queue, QueuedPicture
from backend.datasets.urls import image_url, thumbnail_url


class ProposalRead(BaseModel):
    """What the labels so far suggest."""

    label: str
    probability: float


class QueuedRead(BaseModel):
    """A picture to label, with the label that it has at present; ``large_url`` is 768 pixels wide or high."""

    image_id: str
    path: str
    label: str | None
    by_hand: bool
    left_out: bool
    proposal: ProposalRead | None
    url: str
    large_url: str
    thumbnail_url: str

    @classmethod
    def of(cls, picture: QueuedPicture, root_path: str) -> Self:
        image = picture.image
        proposal = picture.proposal
        return cls(
            image_id=image.id,
            path=image.path,
            label=picture.label,
            by_hand=picture.is_by_hand,
            left_out=picture.is_left_out,
            proposal=ProposalRead(label=proposal.label, probability=proposal.probability) if proposal else None,
            url=root_path + image_url(image.id, image.digest),
            large_url=root_path + thumbnail_url(image.id, 768, image.digest),
            thumbnail_url=root_path + thumbnail_url(image.id, digest=image.digest),
        )


class PolicyRead(BaseModel):
    """How the pictures are ordered: ``path``, ``random``, ``centres`` or ``margin``, and in words."""

    code: str
    message: str


class ClassCountRead(BaseModel):
    name: str
    images: int


class QueueRead(BaseModel):
    """Pictures to label; ``left`` is how many the filter means, ``next`` is null where each label changes the order."""

    items: list[QueuedRead]
    next: str | None
    left: int
    images: int
    labelled: int
    policy: PolicyRead
    classes: list[ClassCountRead]

    @classmethod
    def of(cls, found: Queue, root_path: str) -> Self:
        return cls(
            items=[QueuedRead.of(picture, root_path) for picture in found.pictures],
            next=found.next,
            left=found.left,
            images=found.images,
            labelled=found.labelled,
            policy=PolicyRead(code=found.policy, message=POLICY_WORDS[found.policy]),
            classes=[ClassCountRead(name=name, images=images) for name, images in found.classes.items()],
        )
