"""What a run got right and wrong, by REST."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from backend.datasets.serving import download_headers
from backend.dependencies import ReadDep
from backend.domain.ids import CheckpointId, RunId
from backend.domain.manifest import Split
from backend.interpretation import service
from backend.interpretation.answers import Filter
from backend.interpretation.confusions import PICTURES_A_WAY
from backend.interpretation.find import results_of
from backend.interpretation.matrix_files import matrix_csv, matrix_svg
from backend.interpretation.matrix_view import Colours, Numbers, Order, ordered, rows
from backend.interpretation.schemas import (
    AnsweredImageRead,
    ConfusionMatrixRead,
    ConfusionRead,
    EvaluationRead,
)
from backend.interpretation.service import Results
from backend.pagination import LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["understanding"])


class MatrixFormat(StrEnum):
    """As what the confusion matrix is saved."""

    CSV = "csv"
    SVG = "svg"


def _results(run_id: str, session: ReadDep, checkpoint: str | None = None, split: Split = Split.VALID) -> Results:
    return results_of(session, RunId(run_id), CheckpointId(checkpoint) if checkpoint else None, split)


ResultsDep = Annotated[Results, Depends(_results)]


@router.get("/runs/{run_id}/evaluation")
def read_evaluation(results: ResultsDep, session: ReadDep) -> EvaluationRead:
    """Accuracy, error rate with its 95 % interval, loss, and precision, recall and F1 of each class.

    Of the run's best finished stage, or of `checkpoint`. `split=test` answers for versions with test pictures.
    """
    return EvaluationRead.of(results, service.summary(session, results))


@router.get("/runs/{run_id}/confusion-matrix")
def read_confusion_matrix(results: ResultsDep, session: ReadDep) -> ConfusionMatrixRead:
    """Image counts: rows are actual classes, columns predicted ones."""
    matrix = service.confusion_matrix(session, results)
    return ConfusionMatrixRead(classes=list(results.classes), matrix=matrix.tolist())


@router.get("/runs/{run_id}/confusion-matrix/export", response_class=Response)
def export_confusion_matrix(
    run_id: str,
    results: ResultsDep,
    session: ReadDep,
    format: MatrixFormat,
    order: Order = Order.NAME,
    numbers: Numbers = Numbers.COUNTS,
) -> Response:
    """The matrix as a table (`csv`) or a picture (`svg`), with what stands in the cells of the page.

    `numbers` are counts, or shares of the row (`shares`) or the `column` in per cent.
    """
    matrix = service.confusion_matrix(session, results)
    indices = ordered(results.classes, matrix, order)
    drawn = rows(results.classes, matrix, indices, numbers, Colours(matrix, numbers))
    headers = download_headers(f"confusion matrix {run_id[-8:]}.{format.value}")
    if format is MatrixFormat.CSV:
        return Response(b"".join(matrix_csv(drawn)), media_type="text/csv; charset=utf-8", headers=headers)
    return Response(matrix_svg(drawn, "Confusion matrix"), media_type="image/svg+xml", headers=headers)


@router.get("/runs/{run_id}/most-confused")
def list_most_confused(
    results: ResultsDep, session: ReadDep, min_count: Annotated[int, Query(ge=1)] = 2
) -> Page[ConfusionRead]:
    """Pairs mixed up at least `min_count` times, one direction at a time, most first, each with a few images.

    Beside it stands the other direction, however rare it is.
    """
    pairs = service.confused_pairs(session, results, min_count=1)
    images = service.faces(session, results, None, each=PICTURES_A_WAY)
    counts = {(pair.actual, pair.predicted): pair.count for pair in pairs}
    items = [
        ConfusionRead.of(pair, counts.get((pair.predicted, pair.actual), 0), images)
        for pair in pairs
        if pair.count >= min_count
    ]
    return Page[ConfusionRead](items=items)


@router.get("/runs/{run_id}/top-losses")
def list_top_losses(
    request: Request, results: ResultsDep, session: ReadDep, k: Annotated[int, Query(ge=1, le=1000)] = 9
) -> Page[AnsweredImageRead]:
    """The `k` images the model was most wrong about, worst first."""
    found = service.top_losses(session, results, k=k)
    items = [AnsweredImageRead.of(image, results, request.scope["root_path"]) for image in found]
    return Page[AnsweredImageRead](items=items)


@router.get("/runs/{run_id}/images")
def list_run_images(
    request: Request,
    results: ResultsDep,
    session: ReadDep,
    actual: str | None = None,
    predicted: str | None = None,
    limit: LimitQuery = 100,
    after: str | None = None,
) -> Page[AnsweredImageRead]:
    """The images behind one cell of the confusion matrix, or of a row, a column or all, worst first."""
    page, following = service.images(
        session, results, Filter(actual=actual, predicted=predicted), limit=limit, after=after
    )
    items = [AnsweredImageRead.of(image, results, request.scope["root_path"]) for image in page]
    return Page[AnsweredImageRead](items=items, next=following)
