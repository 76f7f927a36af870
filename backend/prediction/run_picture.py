"""A picture that a run was tested on, with the model that was asked."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.datasets.images import content_of, or_raised
from backend.domain.ids import CheckpointId, ImageId, RunId
from backend.imaging.pool import WAIT_S, DecodingPool
from backend.imaging.preprocessing import Pixels
from backend.imaging.tasks import network_view
from backend.interpretation.answers import AnsweredImage
from backend.interpretation.find import results_of
from backend.interpretation.service import find_tested
from backend.prediction.find import source_of
from backend.prediction.models import ModelSource
from backend.storage.base import Storage


@dataclass(frozen=True, slots=True)
class RunPicture:
    """A test picture and the model; found in a transaction, used after it."""

    image: AnsweredImage
    source: ModelSource

    def view(self, storage: Storage, decoders: DecodingPool) -> Pixels:
        """(size, size, 3): what the network sees of it.

        Raises:
            ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
        """
        content = content_of(storage, self.image.digest)
        return or_raised(decoders.run(network_view, content, self.source.preprocessing, wait_s=WAIT_S))


def run_picture(
    session: Session, storage: Storage, run_id: str, image_id: str, checkpoint_id: str | None
) -> RunPicture:
    """A test picture of a run's checkpoint; of its best one where none is named.

    Raises:
        RunNotFound, CheckpointNotFound, NoResultsYet, ImageNotTested
    """
    results = results_of(session, RunId(run_id), CheckpointId(checkpoint_id) if checkpoint_id else None)
    image = find_tested(session, results.checkpoint_id, ImageId(image_id))
    return RunPicture(image, source_of(session, storage, results.checkpoint_id))
