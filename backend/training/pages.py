"""Pages: choose how to train, the list of runs, and one run as it goes."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from backend.accounts.caller import CallerDep
from backend.datasets.errors import VersionNotFound
from backend.dependencies import ReadDep, ServicesDep, SettingsDep, UnitDep
from backend.domain.architectures import ARCHITECTURES
from backend.domain.errors import AppError
from backend.domain.ids import DatasetId, RunId, VersionId, new_id
from backend.domain.training import Augmentation, Recipe, TrainingConfig, TrainingRequest, resolve
from backend.home.spine import StepName, spine
from backend.ledger.job import JobKind
from backend.ledger.repository import Jobs
from backend.templating import address, page
from backend.training import control
from backend.training.find import find_run
from backend.training.forecast import Forecast, forecast
from backend.training.lr_finds import show_find
from backend.training.lr_finds_form import fields_of_find
from backend.training.repository import RunRepository
from backend.training.run_log import rate_words
from backend.training.run_page import eta_words, range_words, run_page
from backend.training.start import Plan, RunOrder, plan, start
from backend.training.train_form import STAGE_ROWS, augmentation_fields, fields_of, request_of, run_id_of
from backend.training.view import RunView, list_runs, show_run
from backend.training.weights_at_hand import at_hand

router = APIRouter(include_in_schema=False)

RUNS_A_PAGE: Final = 30
_ALIVE_S: Final = 60.0
RECIPES: Final = (
    (Recipe.RECOMMENDED, "Recommended", "The quickest good answer, and all that most sets of pictures need."),
    (Recipe.LESSON_1, "The course, lesson 1", "Exactly as in the 2019 course, number for number."),
    (Recipe.FINE_TUNE, "Fine-tune", "fastai's fine_tune: the head for a moment, then everything at careful rates."),
)


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
    found: FoundDep = None,
) -> Response:
    """Choose how to train; with `again`, begin with the numbers of an earlier run; with `find`, with a rate found."""
    fields = fields_of(find_run(session, again).config) if again else found or _first_fields()
    if batch_size is not None:
        fields["batch_size"] = str(batch_size)
    return _chooser(request, session, settings.weights_folder, version_id, fields)


@router.post("/versions/{version_id}/train")
def submit_run(request: Request, version_id: str, form: FormDep, services: ServicesDep, caller: CallerDep) -> Response:
    """Start a run. The form has given it its id, so a second press leads to the same one."""
    run_id = run_id_of(form)
    try:
        order = RunOrder(
            VersionId(version_id),
            request_of(form),
            run_id=None if run_id is None else RunId(run_id),
            asked_by=caller.token_id,
        )
        with services.open_unit()() as unit:
            known = RunRepository(unit.session).find(order.run_id) if order.run_id else None
            run = known or start(unit, order, services.settings.weights_folder)
            run_id = run.id
    except IntegrityError:  # pressed twice at the same moment: the first press made it
        if run_id is None:
            raise
    except VersionNotFound:
        raise
    except AppError as error:
        with services.database.read() as session:
            return _chooser(request, session, services.settings.weights_folder, version_id, form, error)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


@router.post("/versions/{version_id}/train/forecast")
def forecast_fragment(
    request: Request, version_id: str, form: FormDep, session: ReadDep, settings: SettingsDep
) -> Response:
    """What the form asks for as it would run, and how long that would take."""
    planned, known = _plan(session, version_id, request_of(form), settings.weights_folder)
    return page(request, "training/_forecast.html", forecast=known, time=_time(known), **_planned(planned))


@router.get("/runs")
def runs_page(
    request: Request,
    session: ReadDep,
    after: Annotated[str | None, Query(max_length=64)] = None,
    dataset: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """All runs, the newest first."""
    found = list_runs(session, limit=RUNS_A_PAGE + 1, after=after, dataset_id=dataset)
    return page(
        request,
        "training/runs.html",
        section="runs",
        runs=[(run, _best(run)) for run in found[:RUNS_A_PAGE]],
        after=after,
        following=found[RUNS_A_PAGE - 1].id if len(found) > RUNS_A_PAGE else None,
        dataset=dataset,
        eta=_eta,
        architectures=ARCHITECTURES,
    )


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str, session: ReadDep) -> Response:
    """One run: its tables, curves, checkpoints and log, as they stand at this moment."""
    shown = show_run(session, run_id)
    return page(
        request,
        "training/run.html",
        section="runs",
        page=run_page(session, shown),
        run=shown,
        crumbs=[("Datasets", "/"), (shown.dataset_name, f"/datasets/{shown.dataset_id}"), (shown.name, "")],
        steps=spine(session, DatasetId(shown.dataset_id), StepName.TRAIN),
        has_worker=bool(_trainers(session)),
        device=device_words(shown.device) if shown.device else "",
        architecture=ARCHITECTURES[shown.config["architecture"]],
        eta=_eta(shown),
        rate_words=rate_words,
        remedy=_remedy(shown),
    )


@router.post("/runs/{run_id}/cancel")
def cancel_run(request: Request, run_id: str, unit: UnitDep) -> Response:
    """Stop a run, and show it again."""
    control.cancel(unit.session, run_id)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


@router.post("/runs/{run_id}/finish")
def finish_run(request: Request, run_id: str, unit: UnitDep) -> Response:
    """End a run well after the epoch that is under way, and show it again."""
    control.finish(unit.session, run_id)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


@router.post("/runs/{run_id}/pause")
def pause_run(request: Request, run_id: str, unit: UnitDep) -> Response:
    """Let a run rest, and show it again."""
    control.pause(unit.session, run_id)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


@router.post("/runs/{run_id}/resume")
def resume_run(request: Request, run_id: str, unit: UnitDep) -> Response:
    """Let a run go on, and show it again."""
    control.resume(unit, run_id)
    return RedirectResponse(address(request, f"/runs/{run_id}"), 303)


def _chooser(
    request: Request,
    session: Session,
    weights_folder: Any,  # Any: a Path
    version_id: str,
    fields: Mapping[str, str],
    error: AppError | None = None,
) -> Response:
    version = RunRepository(session).version(VersionId(version_id))
    if version is None:
        raise VersionNotFound
    dataset_id = DatasetId(version.dataset_id)
    try:
        cards = [
            (recipe, title, why, *_plan(session, version_id, TrainingRequest(recipe=recipe), weights_folder))
            for recipe, title, why in RECIPES
        ]
        chosen, known = _plan(session, version_id, _request_or_recipe(fields), weights_folder)
    except AppError as refusal:
        return _not_trainable(request, session, version_id, dataset_id, refusal)
    return page(
        request,
        "training/train.html",
        status=422 if error else 200,
        error=error,
        version=version,
        dataset_name=_dataset_name(session, dataset_id),
        steps=spine(session, dataset_id, StepName.TRAIN),
        cards=[(*card, _time(card[-1])) for card in cards],
        forecast=known,
        time=_time(known),
        fields=fields,
        run_id=new_id(),
        rows=range(STAGE_ROWS),
        workers=_trainers(session),
        waiting=Jobs(session).places_in_line(JobKind.TRAIN),
        at_hand={entry.name: at_hand(entry.weights[0], weights_folder) for entry in ARCHITECTURES.values()},
        **_planned(chosen),
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
        dataset_name=_dataset_name(session, dataset_id),
        steps=spine(session, dataset_id, StepName.TRAIN),
    )


def _request_or_recipe(fields: Mapping[str, str]) -> TrainingRequest:
    """What the fields ask for; where they can't be used, at least what a run with nothing filled in would be."""
    try:
        return request_of(fields)
    except AppError:
        return TrainingRequest()


def _plan(session: Session, version_id: str, request: TrainingRequest, weights_folder: Any) -> tuple[Plan, Forecast]:
    planned = plan(session, RunOrder(VersionId(version_id), request), weights_folder)
    return planned, forecast(session, planned.config, planned.version.counts, version_id=version_id)


def _first_fields() -> dict[str, str]:
    return {"recipe": Recipe.RECOMMENDED.value, **augmentation_fields(Augmentation().model_dump())}


def _planned(planned: Plan) -> dict[str, Any]:  # Any: the template's context
    """A plan with the words that it takes to show it; ``own_of``: the recipe that was changed, or nothing."""
    recipe = planned.config.recipe
    is_own = planned.config != resolve(TrainingRequest(recipe=recipe))
    title = next((title for name, title, _ in RECIPES if name is recipe), "")
    return {
        "plan": planned,
        "own_of": title if is_own else "",
        "architectures": ARCHITECTURES,
        "stages_in_words": stages_in_words,
    }


def stages_in_words(config: TrainingConfig) -> str:
    """``4 epochs of the head, then 2 of everything``."""
    parts = []
    for place, stage in enumerate(config.stages):
        epochs = f"{stage.epochs} epoch{'' if stage.epochs == 1 else 's'}" if place == 0 else str(stage.epochs)
        parts.append(f"{epochs} of {'the head' if stage.freeze else 'everything'}")
    return ", then ".join(parts)


def _time(known: Forecast) -> str:
    """The forecast in words; empty where nothing is known."""
    if known.seconds_low is None or known.seconds_high is None:
        return ""
    return range_words(known.seconds_low, known.seconds_high)


def _eta(run: RunView) -> str:
    return "" if run.eta_s is None else f"{eta_words(run.eta_s)} left"


def _trainers(session: Session) -> list[str]:
    """What runs will train on: the devices of the workers that are alive, in words."""
    rows = Jobs(session).workers(_ALIVE_S)
    return sorted(
        {device_words(row.device_name or row.device) for row in rows if JobKind.TRAIN in row.kinds.split(",")}
    )


def device_words(device: str | None) -> str:
    """A device as people call it."""
    if device is None or device.startswith("cpu"):
        return "the processor"
    return "the graphics card" if device.startswith("cuda") else device


def _dataset_name(session: Session, dataset_id: DatasetId) -> str:
    return RunRepository(session).dataset_name(dataset_id)


def _best(run: RunView) -> Mapping[str, Any] | None:  # Any: JSON values
    """The figures of the run's best stage."""
    return min((row.metrics["valid"] for row in run.checkpoints), key=lambda valid: valid["error_rate"], default=None)


def _remedy(run: RunView) -> tuple[str, str] | None:
    """Words and address of the button that mends a failed run."""
    if run.failure is None:
        return None
    path = f"/versions/{run.version_id}/train?again={run.id}"
    if "memory" in run.failure.code and run.config["batch_size"] >= 4:
        half = run.config["batch_size"] // 2
        return f"Start again with batch {half}", f"{path}&batch_size={half}"
    return "Start again", path
