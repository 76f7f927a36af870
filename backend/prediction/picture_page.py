"""One test picture as a run sees it: its answers, where they came from, what it looks like, and its history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.datasets.examine.nearest import nearest_learnt
from backend.datasets.labels.ledger.history import label_history
from backend.datasets.pictures.details import SETS, details_of
from backend.datasets.urls import thumbnail_url
from backend.dependencies import ReadDep, ServicesDep
from backend.domain.ids import ImageId
from backend.interpretation import service
from backend.interpretation.answers import AnsweredImage
from backend.interpretation.context import OpenedDep, nothing_yet, results_context
from backend.prediction.stored_answers import stored_answers
from backend.templating import address, page
from backend.training.find import checkpoint_folder, find_checkpoint, find_run

router = APIRouter(include_in_schema=False)

BEST: Final = 5
NEAREST: Final = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """A class with its probability; ``mark`` says whether it is the label, the prediction, both or neither."""

    name: str
    share: float
    mark: str


@router.get("/runs/{run_id}/images/{image_id}")
def image(request: Request, session: ReadDep, services: ServicesDep, opened: OpenedDep, image_id: str) -> Response:
    """One test picture, large, with all that is known of the model's answer."""
    results = opened.results
    if results is None:
        return nothing_yet(request, session, opened)
    found = service.find_tested(session, results.checkpoint_id, ImageId(image_id))
    summary = service.summary(session, results)
    folder = checkpoint_folder(services.storage, find_checkpoint(session, results.checkpoint_id))
    shares = stored_answers(folder, results.split, found.image_id)
    version_id = find_run(session, results.run_id).version_id
    details = details_of(session, opened.head.dataset_id, image_id, version_id)
    return page(
        request,
        "prediction/picture.html",
        **results_context(request, session, opened, results, summary, "/image"),
        image=found,
        answers=best_answers(found, shares),
        nearest=nearest_learnt(session, services.settings.features_folder, version_id, image_id, NEAREST),
        near_thumbnail=lambda near: address(request, thumbnail_url(near.image_id, 192, near.digest)),
        labels=details.labels,
        run_answers_of=details.answers,
        sets=SETS,
        history=label_history(session, opened.head.dataset_id, found.digest),
    )


def best_answers(image: AnsweredImage, shares: Mapping[str, float]) -> list[Answer]:
    """The likeliest classes, and the label where it isn't one of them; those of the table where no others are known."""
    known = shares or {image.predicted: image.probability_predicted, image.actual: image.probability_actual}
    names = list(dict.fromkeys([*list(known)[:BEST], image.actual]))
    return [Answer(name, known[name], _mark(image, name)) for name in names]


def _mark(image: AnsweredImage, name: str) -> str:
    marks = [word for word, of in (("predicted", image.predicted), ("label", image.actual)) if of == name]
    return " and ".join(marks)
