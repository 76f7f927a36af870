"""Pages: choose how to train, with a forecast that follows the form, and start the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from backend.caller import CallerDep
from backend.datasets.errors import VersionNotFound
from backend.dependencies import ReadDep, ServicesDep, SettingsDep
from backend.domain.errors import AppError
from backend.domain.ids import DatasetId, VersionId, new_id
from backend.journey.steps import StepName, spine
from backend.templating import address, page
from backend.training.find import find_run
from backend.training.form.content import chooser, fields_after, fields_from, first_fields, order_of
from backend.training.form.form import fields_of, request_of, run_id_of
from backend.training.form.rate_search import fields_of_find
from backend.training.lr_finds.service import show_find
from backend.training.queue import ahead_in_queue, trainers_in_words
from backend.training.repository import RunRepository
from backend.training.start import start

router = APIRouter(include_in_schema=False)


async def _form(request: Request) -> dict[str, str]:
    fields = await request.form()
    return {name: value for name, value in fields.items() if not isinstance(value, UploadFile)}


FormDep = Annotated[dict[str, str], Depends(_form)]


def _found(
    session: ReadDep,
    find: Annotated[str | None, Query(max_length=64)] = None,
    rate: Annotated[str | None, Query(max_length=64)] = None,
    own: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, str] | None:
    """The fields that a search for a rate fills in; ``rate`` is one of its curve, or "own" for what was typed."""
    return fields_of_find(show_find(session, find), own if rate == "own" else rate) if find else None


FoundDep = Annotated[dict[str, str] | None, Depends(_found)]


@router.get("/versions/{version_id}/train")
def train_page(
    request: Request,
    version_id: str,
    session: ReadDep,
    settings: SettingsDep,
    again: Annotated[str | None, Query(max_length=64)] = None,
    batch_size: Annotated[int | None, Query(ge=2, le=1024)] = None,
    starts_from: Annotated[str | None, Query(max_length=64)] = None,
    found: FoundDep = None,
) -> Response:
    """Choose how to train: with the numbers of an earlier run, a rate that was found, or the stage after a model."""
    if again:
        fields = fields_of(find_run(session, again).config)
    elif starts_from and not found:
        fields = fields_from(session, starts_from)
    else:
        fields = found or first_fields(session, version_id)
    if batch_size is not None:
        fields["batch_size"] = str(batch_size)
    return _chooser(request, session, settings.weights_folder, version_id, fields)


@router.post("/versions/{version_id}/train")
def submit_run(request: Request, version_id: str, form: FormDep, services: ServicesDep, caller: CallerDep) -> Response:
    """Start a run, or do what a button of the drawer does. A second press leads to the run that the first one made."""
    folder, run_id = services.settings.weights_folder, run_id_of(form)
    try:
        with services.database.read() as session:
            if (fields := fields_after(session, form)) is not None:
                return _chooser(request, session, folder, version_id, fields, is_open=True)
        order = order_of(version_id, form, caller.token_id)
        with services.open_unit()() as unit:
            known = RunRepository(unit.session).find(order.run_id) if order.run_id else None
            run_id = (known or start(unit, order, folder)).id
    except IntegrityError:  # pressed twice at the same moment: the first press made it
        if run_id is None:
            raise
    except VersionNotFound:
        raise
    except AppError as error:
        with services.database.read() as session:
            return _chooser(request, session, folder, version_id, form, error, is_open=True)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


@router.post("/versions/{version_id}/train/forecast")
def forecast_fragment(
    request: Request, version_id: str, form: FormDep, session: ReadDep, settings: SettingsDep
) -> Response:
    """The parts of the page that follow the form: the training as it would run, its time, the drawer."""
    fields = fields_after(session, form)
    if fields is None:
        request_of(form)  # a field that can't be used is said, instead of shown as something else
        fields = form
    folder = settings.weights_folder
    return page(request, "training/_parts.html", **chooser(session, version_id, fields, folder), has_script=True)


def _chooser(
    request: Request,
    session: Session,
    weights_folder: Path,
    version_id: str,
    fields: Mapping[str, str],
    error: AppError | None = None,
    *,
    is_open: bool = False,
) -> Response:
    version = RunRepository(session).version(VersionId(version_id))
    if version is None:
        raise VersionNotFound
    dataset_id = DatasetId(version.dataset_id)
    try:
        content = chooser(session, version_id, fields, weights_folder, error)
    except AppError as refusal:
        return _not_trainable(request, session, version_id, dataset_id, refusal)
    return page(
        request,
        "training/train.html",
        status=422 if error else 200,
        dataset_name=RunRepository(session).dataset_name(dataset_id),
        steps=spine(session, dataset_id, StepName.TRAIN),
        run_id=fields.get("run_id") or new_id(),
        workers=trainers_in_words(session),
        before_it=ahead_in_queue(session),
        is_open=is_open or len(set(fields) - {"recipe"}) > 0,
        has_script=False,
        **content,
    )


def _not_trainable(
    request: Request, session: Session, version_id: str, dataset_id: DatasetId, refusal: AppError
) -> Response:
    return page(
        request,
        "training/not_trainable.html",
        status=422,
        error=refusal,
        dataset_id=dataset_id,
        dataset_name=RunRepository(session).dataset_name(dataset_id),
        steps=spine(session, dataset_id, StepName.TRAIN),
    )
