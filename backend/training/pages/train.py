"""Pages: choose how to train, with a forecast that follows the form, and start the run."""

from typing import Annotated, Any, Final

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
from backend.journey.steps import StepName, steps_of
from backend.settings import Settings
from backend.templating import address, page
from backend.training.forecast.work import Counts
from backend.training.form import fields as train_fields
from backend.training.form.buttons import form_after, form_after_checkpoint, form_of_run
from backend.training.form.content import TrainContent, problems_of, train_content
from backend.training.form.fields import CHANGES
from backend.training.form.form import TrainForm
from backend.training.form.offers import stages_in_words
from backend.training.form.presets import first_preset
from backend.training.form.rate_search import form_of_find
from backend.training.lineage_repository import LineageRepository
from backend.training.lr_finds.service import show_find
from backend.training.queue import ahead_in_queue
from backend.training.repository import RunRepository
from backend.training.start import start

router = APIRouter(include_in_schema=False)

_MOST_TO_START_FROM: Final = 50
IdQuery = Annotated[str | None, Query(max_length=64)]


async def read_form(request: Request) -> TrainForm:
    fields = await request.form()
    return TrainForm({name: value for name, value in fields.items() if not isinstance(value, UploadFile)})


FormDep = Annotated[TrainForm, Depends(read_form)]


def _opened(
    request: Request,
    session: ReadDep,
    again: IdQuery = None,
    starts_from: IdQuery = None,
    find: IdQuery = None,
    rate: IdQuery = None,
    own: IdQuery = None,
    model: IdQuery = None,
    batch_size: Annotated[int | None, Query(ge=2, le=1024)] = None,
    seed: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> TrainForm:
    """The form as it is opened: with an earlier run's numbers, a rate that was found, or the stage after a model.

    ``rate`` is a point of the curve of ``find``, or "own" for what was typed; ``model`` another architecture. Empty
    where nothing was chosen yet. Random changes come from the page where they were tried.
    """
    if again:
        form = form_of_run(session, again)
    elif find:
        form = form_of_find(show_find(session, find), own if rate == "own" else rate)
    elif starts_from:
        form = form_after_checkpoint(session, starts_from)
    else:
        form = TrainForm({})
    if model:
        form = form.with_values(architecture=model, network="", weights="")
    changes = {
        change.name: request.query_params[change.name] for change in CHANGES if change.name in request.query_params
    }
    numbers = {"batch_size": batch_size, "seed": seed}
    changes |= {name: str(number) for name, number in numbers.items() if number is not None}
    return form.with_values(**changes) if changes else form


OpenedDep = Annotated[TrainForm, Depends(_opened)]


@router.get("/versions/{version_id}/train")
def train_page(request: Request, version_id: str, session: ReadDep, settings: SettingsDep, form: OpenedDep) -> Response:
    """Choose how to train."""
    return train_form_page(request, session, settings, version_id, form)


@router.post("/versions/{version_id}/train")
def submit_run(request: Request, version_id: str, form: FormDep, services: ServicesDep, caller: CallerDep) -> Response:
    """Start a run, or do what a button of the form does. A second press leads to the run that the first one made."""
    try:
        with services.database.read() as session:
            if (changed := form_after(session, form)) is not None:
                return train_form_page(request, session, services.settings, version_id, changed, is_open=True)
        order = form.order(version_id, caller.token_id)
        with services.open_unit()() as unit:
            known = RunRepository(unit.session).find(order.run_id) if order.run_id else None
            run_id = (known or start(unit, order, services.settings.weights_folder)).id
    except IntegrityError:  # pressed twice at the same moment: the first press made it
        if form.run_id is None:
            raise
        run_id = form.run_id
    except VersionNotFound:
        raise
    except AppError as refusal:
        with services.database.read() as session:
            return train_form_page(request, session, services.settings, version_id, form, refusal, is_open=True)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


@router.post("/versions/{version_id}/train/forecast")
def forecast_fragment(
    request: Request, version_id: str, form: FormDep, session: ReadDep, settings: SettingsDep
) -> Response:
    """The parts of the page that follow the form: the training as it would run, its time, the drawer."""
    refusal: AppError | None = None
    try:
        form = form_after(session, form) or form
    except AppError as error:
        if not problems_of(error, form):
            raise
        refusal = error
    train = train_content(session, version_id, form, settings.weights_folder, refusal)
    return page(request, "training/_parts.html", **_shown(train), has_script=True)


def train_form_page(
    request: Request,
    session: Session,
    settings: Settings,
    version_id: str,
    form: TrainForm,
    refusal: AppError | None = None,
    *,
    is_open: bool = False,
) -> Response:
    """The whole page for a form; ``is_open``: the drawer is."""
    runs, lineage = RunRepository(session), LineageRepository(session)
    version = runs.version(VersionId(version_id))
    if version is None:
        raise VersionNotFound
    if not form.fields.get("recipe"):
        form = form.with_values(recipe=first_preset(Counts.of(version.counts).whole).name)
    dataset_id = DatasetId(version.dataset_id)
    around: dict[str, Any] = {
        "dataset_name": runs.dataset_name(dataset_id),
        "steps": steps_of(session, dataset_id, StepName.TRAIN),
    }
    try:
        train = train_content(session, version_id, form, settings.weights_folder, refusal)
    except AppError as error:
        return page(request, "training/not_trainable.html", status=422, error=error, dataset_id=dataset_id, **around)
    return page(
        request,
        "training/train.html",
        status=422 if refusal else 200,
        error=refusal,
        models=lineage.models_of_dataset(dataset_id, _MOST_TO_START_FROM),
        past_runs=lineage.runs_of_dataset(dataset_id, _MOST_TO_START_FROM),
        run_id=form.run_id or new_id(),
        ahead=ahead_in_queue(session),
        is_open=is_open or form.has_own_values,
        has_script=False,
        **around,
        **_shown(train),
    )


def _shown(train: TrainContent) -> dict[str, Any]:  # Any: the template's context
    return {"train": train, "all_fields": train_fields, "stages_in_words": stages_in_words}
