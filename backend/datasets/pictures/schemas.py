"""What the API gives of pictures: in lists, and one with all that is known of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from pydantic import BaseModel

from backend.datasets.pictures.details import ImageDetails
from backend.datasets.pictures.repository import ListedImage
from backend.datasets.urls import image_url, original_url, thumbnail_url
from backend.imaging.about import FileAbout


class AnswerRead(BaseModel):
    """What the run asked about said of a picture; ``probability`` is that of what it said."""

    predicted: str
    probability: float
    is_right: bool


class ImageNoteRead(BaseModel):
    """Something worth knowing of a picture; of a drawn one, from what and with which settings."""

    code: str
    message: str


class ImageRead(BaseModel):
    """A picture; label and split are those of the version asked about, else of the newest.

    ``answer`` is that of the run by whose results the list is filtered, else null.
    """

    id: str
    path: str
    width: int
    height: int
    bytes: int
    label: str | None
    split: str | None
    flags: list[str]
    notes: list[ImageNoteRead]
    url: str
    thumbnail_url: str
    original_url: str
    answer: AnswerRead | None

    @classmethod
    def of(cls, image: ListedImage, root_path: str) -> Self:
        row = image.row
        return cls(
            id=row.id,
            path=row.path,
            width=row.width,
            height=row.height,
            bytes=row.bytes,
            label=image.label,
            split=image.split,
            flags=list(image.flags),
            notes=[ImageNoteRead(code=note["code"], message=note["message"]) for note in row.notes],
            url=root_path + image_url(row.id, row.digest),
            thumbnail_url=root_path + thumbnail_url(row.id, digest=row.digest),
            original_url=root_path + original_url(row.id, row.digest),
            answer=None
            if image.answer is None
            else AnswerRead(
                predicted=image.answer.predicted,
                probability=image.answer.probability,
                is_right=image.answer.is_right,
            ),
        )


class ImageVersionRead(BaseModel):
    """Label and set of a picture in one version."""

    version_id: str
    number: int
    label: str
    split: str


class ImageRunRead(BaseModel):
    """What a run's best model said of a picture that it was tested on. Loss in nats."""

    run_id: str
    name: str
    version_id: str
    split: str
    actual: str
    predicted: str
    is_right: bool
    probability_predicted: float
    probability_actual: float
    loss: float


class FileRead(BaseModel):
    """What a picture's file says of itself: the kind of its colours, its size as stored, what the camera wrote.

    ``turned`` says how the picture lies in the file; empty where it is upright. ``has_place``: whether it says where it
    was taken, which isn't shown.
    """

    colours: str
    stored_width: int
    stored_height: int
    turned: str
    exif: Mapping[str, str]
    has_place: bool

    @classmethod
    def of(cls, about: FileAbout) -> Self:
        width, height = about.stored
        return cls(
            colours=about.colours,
            stored_width=width,
            stored_height=height,
            turned=about.turned,
            exif=dict(about.exif),
            has_place=about.has_place,
        )


class ImageDetailsRead(ImageRead):
    """All that is known of a picture. ``file`` is null where the file can't be read at the moment."""

    format: str
    sha256: str
    is_deleted: bool
    created_at: datetime
    paths: list[str]
    versions: list[ImageVersionRead]
    runs: list[ImageRunRead]
    file: FileRead | None

    @classmethod
    def of_details(cls, details: ImageDetails, about: FileAbout | None, root_path: str) -> Self:
        row = details.image.row
        return cls(
            **ImageRead.of(details.image, root_path).model_dump(),
            format=row.format,
            sha256=row.digest,
            is_deleted=row.is_deleted,
            created_at=row.created_at,
            paths=list(details.paths),
            versions=[
                ImageVersionRead(version_id=one.version_id, number=one.version, label=one.label, split=one.split)
                for one in details.labels
            ],
            runs=[
                ImageRunRead(
                    run_id=answer.run.id,
                    name=answer.run.name,
                    version_id=answer.run.version_id,
                    split=answer.split,
                    actual=answer.actual,
                    predicted=answer.predicted,
                    is_right=answer.is_right,
                    probability_predicted=answer.probability,
                    probability_actual=answer.probability_actual,
                    loss=answer.loss,
                )
                for answer in details.answers
            ],
            file=FileRead.of(about) if about else None,
        )
