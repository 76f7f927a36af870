"""What a run's checkpoint got right and wrong: figures, pairs, images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict, NotFound
from backend.domain.ids import CheckpointId, ImageId, RunId
from backend.domain.manifest import Split
from backend.domain.results import ClassReport, Confusion, class_reports, most_confused, wilson_interval
from backend.interpretation.answers import AnsweredImage, Filter, ListPosition
from backend.interpretation.repository import PredictionRepository
from backend.pagination import CursorUnknown


class NoResultsYet(Conflict):
    """The run has no finished stage whose answers could be looked at."""

    code = "no-results-yet"

    def __init__(self, run_id: RunId) -> None:
        super().__init__(
            "This training hasn't finished a stage yet, so there are no results to look at.",
            advice="Open the run's page to see how far it is; the results appear after its first stage.",
            details={"run_id": run_id},
        )


class NothingTested(Conflict):
    """The checkpoint was not tried on the images of that split."""

    code = "nothing-tested"

    def __init__(self, split: Split) -> None:
        super().__init__(
            f"The model wasn't tried on any pictures of the split “{split}”.",
            advice="Look at the split “valid”, which every training has.",
            details={"split": split},
        )


class ImageNotTested(NotFound):
    """The model wasn't tested on this image."""

    code = "image-not-tested"

    def __init__(self, image_id: str) -> None:
        super().__init__(
            "This picture isn't among the test pictures of this training.",
            advice="Open it from the list of top losses or from the confusion matrix.",
            details={"image_id": image_id},
        )


@dataclass(frozen=True, slots=True)
class Results:
    """A finished stage of a run, as far as its results are concerned.

    Attributes:
        classes: K names, in the order of the model's outputs.
        split: the images it was tried on.
    """

    run_id: RunId
    checkpoint_id: CheckpointId
    stage: int
    epoch: int
    classes: tuple[str, ...]
    split: Split = Split.VALID


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one checkpoint. ``loss`` is the mean in nats."""

    images: int
    errors: int
    loss: float
    per_class: tuple[ClassReport, ...]
    matrix: NDArray[np.int64]

    @property
    def error_rate(self) -> float:
        """Share of images it got wrong."""
        return self.errors / self.images

    @property
    def error_rate_interval(self) -> tuple[float, float]:
        """95 % interval of the error rate."""
        return wilson_interval(self.errors, self.images)


def summary(session: Session, results: Results) -> Summary:
    """Error rate, loss, per-class figures and the confusion matrix, from sums made by the database.

    Raises:
        NothingTested: no images of that split.
    """
    matrix = confusion_matrix(session, results)
    loss = PredictionRepository(session).mean_loss(results.checkpoint_id, results.split)
    if loss is None:
        raise NothingTested(results.split)
    images = int(matrix.sum())
    reports = class_reports(results.classes, matrix)
    return Summary(images, images - int(matrix.trace()), loss, tuple(reports), matrix)


def confusion_matrix(session: Session, results: Results) -> NDArray[np.int64]:
    """(K, K) image counts: rows are actual classes, columns predicted ones."""
    place = {name: k for k, name in enumerate(results.classes)}
    matrix = np.zeros((len(place), len(place)), dtype=np.int64)
    for actual, predicted, count in PredictionRepository(session).cells(results.checkpoint_id, results.split):
        matrix[place[actual], place[predicted]] = count
    return matrix


def confused_pairs(session: Session, results: Results, *, min_count: int) -> list[Confusion]:
    """Pairs that the model mixes up, most often first."""
    return most_confused(results.classes, confusion_matrix(session, results), min_count)


def top_losses(session: Session, results: Results, *, k: int) -> list[AnsweredImage]:
    """The images it was most wrong about, worst first."""
    return PredictionRepository(session).images(results.checkpoint_id, results.split, Filter(), limit=k)


def images(
    session: Session, results: Results, chosen: Filter, *, limit: int, after: str | None = None
) -> tuple[list[AnsweredImage], str | None]:
    """One page of images, worst first, and the cursor of the next page.

    Raises:
        CursorUnknown: ``after`` is not a cursor of ours.
    """
    found = PredictionRepository(session).images(
        results.checkpoint_id, results.split, chosen, limit=limit + 1, after=_place(after) if after else None
    )
    page = found[:limit]
    return page, cursor_of(page[-1]) if len(found) > limit else None


def count_images(session: Session, results: Results, chosen: Filter) -> int:
    """How many images ``images`` lists in all."""
    return PredictionRepository(session).count(results.checkpoint_id, results.split, chosen)


def faces(
    session: Session, results: Results, pairs: Sequence[Confusion] | None, *, each: int
) -> dict[tuple[str, str], list[AnsweredImage]]:
    """A few images of every pair, worst first; None: of all pairs that were confused. One statement."""
    wanted = None if pairs is None else [(pair.actual, pair.predicted) for pair in pairs]
    return PredictionRepository(session).faces(results.checkpoint_id, results.split, wanted, each)


def samples(session: Session, checkpoint_id: CheckpointId, *, limit: int) -> list[AnsweredImage]:
    """A mixed handful of the pictures that a checkpoint was tested on."""
    return PredictionRepository(session).samples(checkpoint_id, Split.VALID, limit)


def tested_image(session: Session, checkpoint_id: CheckpointId, image_id: ImageId) -> AnsweredImage | None:
    """One picture that a checkpoint was tested on; None where it wasn't."""
    return PredictionRepository(session).image(checkpoint_id, image_id)


def find_tested(session: Session, checkpoint_id: CheckpointId, image_id: ImageId) -> AnsweredImage:
    """One picture that a checkpoint was tested on.

    Raises:
        ImageNotTested
    """
    found = tested_image(session, checkpoint_id, image_id)
    if found is None:
        raise ImageNotTested(image_id)
    return found


def certainty(session: Session, results: Results, *, bars: int = 10) -> list[tuple[int, int]]:
    """(right, wrong) images by how sure the model was, in ``bars`` equal steps from 0 to 1."""
    edges = [bar / bars for bar in range(bars)] + [2.0]  # a probability of exactly 1 belongs to the last bar
    return PredictionRepository(session).certainty(results.checkpoint_id, results.split, edges)


def cursor_of(image: AnsweredImage) -> str:
    # repr gives the shortest text that reads back as the same float, which both databases compare exactly.
    return f"{image.loss!r}_{image.image_id}"


def _place(cursor: str) -> ListPosition:
    loss, _, image_id = cursor.partition("_")
    try:
        return ListPosition(float(loss), ImageId(image_id))
    except ValueError:
        raise CursorUnknown(cursor) from None
