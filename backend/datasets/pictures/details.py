"""All that is known of one picture, for its page, the panel beside a grid, and REST."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.errors import ImageFileMissing
from backend.datasets.images import content_of
from backend.datasets.pictures.details_repository import PictureDetails, RunAnswer, VersionLabel
from backend.datasets.pictures.repository import ListedImage, PictureLists
from backend.domain.ids import Digest
from backend.imaging.about import FileAbout
from backend.imaging.errors import DecodersBusy, DecodersDown, Refused
from backend.imaging.pool import DecodingPool
from backend.imaging.tasks import about_file
from backend.storage.base import Storage

SETS: Final = {"train": "Training", "valid": "Validation", "test": "Test"}
"""Words for the sides of a split."""
_WAIT_S: Final = 2.0
"""How long a page waits to read what a file says of itself; everything else of it is shown without."""


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """All that is known of one picture.

    Attributes:
        image: with label and set of the newest version, or of the one asked for.
        paths: all names under which it was added.
        labels: label and set in each version, the newest first.
        answers: what each run said of it that was tested on it, the newest first.
    """

    image: ListedImage
    paths: tuple[str, ...]
    labels: tuple[VersionLabel, ...]
    answers: tuple[RunAnswer, ...]


def details_of(session: Session, dataset_id: str, image_id: str, version_id: str | None = None) -> ImageDetails:
    """One picture of a dataset, also one that only a version or the bin still has.

    Raises:
        ImageNotFound
    """
    lists, details = PictureLists(session), PictureDetails(session)
    image = lists.listed_image(dataset_id, image_id, version_id)
    return ImageDetails(
        image,
        tuple(lists.names_of(image_id)) or (image.row.path,),
        tuple(details.labels(image_id)),
        tuple(details.of_image(dataset_id, image_id)),
    )


def file_about(storage: Storage, decoders: DecodingPool, digest: Digest) -> FileAbout | None:
    """What a picture's file says of itself; None where it can't be read at the moment."""
    try:
        about = decoders.run(about_file, content_of(storage, digest), wait_s=_WAIT_S)
    except (ImageFileMissing, DecodersBusy, DecodersDown):
        return None
    return None if isinstance(about, Refused) else about
