"""Try a trained model on new pictures."""

from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, File, Query, Request, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.datasets.images import content_of
from backend.datasets.urls import thumbnail_url
from backend.dependencies import ReadDep, Services, ServicesDep
from backend.domain.catalogue import title_of
from backend.domain.ids import CheckpointId, DatasetId, ImageId
from backend.imaging.pool import decoding_pool
from backend.imaging.thumbnails import media_type_of
from backend.interpretation import service as results
from backend.interpretation.answers import AnsweredImage
from backend.journey.steps import StepName, steps_of
from backend.prediction.dependencies import ModelsDep, contents
from backend.prediction.find import source_of
from backend.prediction.service import MAX_FILES, Answers, Refusal, TooManyFiles, predict
from backend.storage.base import Storage
from backend.templating import address, is_fragment, page
from backend.training.confidence.chosen import chosen_of
from backend.training.exports.offers import input_words, offers
from backend.training.find import find_checkpoint
from backend.training.run_view import show_run

router = APIRouter(include_in_schema=False)

SAMPLES = 6
BARS = 5


@router.get("/checkpoints/{checkpoint_id}/try")
def try_page(
    request: Request,
    checkpoint_id: str,
    session: ReadDep,
    services: ServicesDep,
    cache: ModelsDep,
    image: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Drop, choose or paste a picture; or tap one of the test pictures."""
    source = source_of(session, services.storage, checkpoint_id)
    tested = _tested(session, source.checkpoint_id, image) if image else None
    answers = None
    if tested is not None:
        content = content_of(services.storage, tested.digest)
        answers = predict(cache, decoding_pool(), source, [("test picture", content)])
    return _answer(request, session, services, checkpoint_id, answers, tested)


@router.post("/checkpoints/{checkpoint_id}/try")
def try_pictures(
    request: Request,
    checkpoint_id: str,
    services: ServicesDep,
    cache: ModelsDep,
    files: Annotated[list[UploadFile], File()],
) -> Response:
    """Answer for pictures that were dropped, chosen, pasted or taken."""
    if len(files) > MAX_FILES:
        raise TooManyFiles(len(files))
    with services.database.read() as session:
        source = source_of(session, services.storage, checkpoint_id)
    answers = predict(cache, decoding_pool(), source, contents(files))
    with services.database.read() as session:
        return _answer(request, session, services, checkpoint_id, answers, None)


def _tested(session: Session, checkpoint_id: str, image_id: str) -> AnsweredImage | None:
    return results.tested_image(session, CheckpointId(checkpoint_id), ImageId(image_id))


def _answer(
    request: Request,
    session: Session,
    services: Services,
    checkpoint_id: str,
    answers: Answers | None,
    tested: AnsweredImage | None,
) -> Response:
    shown = {"answers": answers, "tested": tested, "bars": BARS, "thumbnail_url": _thumbnails(request)}
    shown |= {"is_refusal": lambda item: isinstance(item, Refusal), "picture_url": _picture_url}
    if is_fragment(request):
        return page(request, "prediction/_answers.html", **shown)
    context = _context(request, session, services.storage, services.settings.base_url, checkpoint_id)
    return page(request, "prediction/try.html", **context, **shown)


def _picture_url(content: bytes) -> str:
    # Pictures you try are not stored, so there is no address to fetch it from.
    return f"data:{media_type_of(content)};base64,{b64encode(content).decode('ascii')}"


def _thumbnails(request: Request) -> Any:  # Any: a function of the template's
    return lambda image: address(request, thumbnail_url(image.image_id, 192, image.digest))


def _context(
    request: Request, session: Session, storage: Storage, base_url: str | None, checkpoint_id: str
) -> dict[str, Any]:  # Any: the template's context
    row = find_checkpoint(session, checkpoint_id)
    run = show_run(session, row.run_id)
    base = (base_url or str(request.base_url)).rstrip("/")
    return {
        "section": "runs",
        "checkpoint": row,
        "chosen": chosen_of(session, row.id).settings,
        "run": run,
        "architecture": title_of(row.architecture),
        "crumbs": [
            ("Datasets", "/"),
            (run.dataset_name, f"/datasets/{run.dataset_id}"),
            (run.name, f"/runs/{run.id}"),
            ("Try", ""),
        ],
        "steps": steps_of(session, DatasetId(run.dataset_id), StepName.USE),
        "downloads": offers(session, run, row),
        "input_words": input_words(row),
        "samples": results.samples(session, CheckpointId(row.id), limit=SAMPLES),
        "curl": f'curl -H "Authorization: Bearer $TELLAPART_TOKEN" -F files=@picture.jpg '
        f"{base}/api/v1/checkpoints/{row.id}/predictions",
    }
