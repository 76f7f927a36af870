"""Pages: choose how to train, the list of runs, and one run as it goes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from backend.accounts.caller import CallerDep
from backend.datasets.errors import VersionNotFound
from backend.datasets.urls import thumbnail_url
from backend.dependencies import ReadDep, ServicesDep, SettingsDep, UnitDep
from backend.domain.architectures import ARCHITECTURES
from backend.domain.errors import AppError
from backend.domain.ids import DatasetId, VersionId, new_id
from backend.home.spine import StepName, spine
from backend.ledger.job import JobKind
from backend.ledger.repository import Jobs
from backend.templating import address, page
from backend.training import control
from backend.training.find import find_run
from backend.training.forecast import Forecast
from backend.training.lr_finds import show_find
from backend.training.lr_finds_form import fields_of_find
from backend.training.outlook import slower_words
from backend.training.queue_words import before_in_line
from backend.training.repository import RunRepository
from backend.training.run_log import rate_words
from backend.training.run_page import run_page
from backend.training.settings_words import settings_as_json
from backend.training.start import start
from backend.training.time_words import eta_words
from backend.training.train_form import STAGE_ROWS, fields_of, request_of, run_id_of
from backend.training.train_page import chooser, fields_after, fields_from, first_fields, order_of
from backend.training.view import RunView, list_runs, show_run

router = APIRouter(include_in_schema=False)

RUNS_A_PAGE: Final = 30
_ALIVE_S: Final = 60.0
_QUIET_COOKIE: Final = "tellapart_quiet"
_MOST_QUIET: Final = 30
_YEAR_S: Final = 31_536_000


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
        slower=_slower(session, shown),
        run=shown,
        crumbs=[("Datasets", "/"), (shown.dataset_name, f"/datasets/{shown.dataset_id}"), (shown.name, "")],
        steps=spine(session, DatasetId(shown.dataset_id), StepName.TRAIN),
        has_worker=bool(_trainers(session)),
        device=device_words(shown.device) if shown.device else "",
        architecture=ARCHITECTURES[shown.config["architecture"]],
        eta=_eta(shown),
        rate_words=rate_words,
        remedy=_remedy(shown),
        diverged=_search_after(shown),
        config_json=settings_as_json(shown.config),
        thumbnail_url=lambda image: address(request, thumbnail_url(image.image_id)),
        is_quiet=run_id in _quiet_runs(request),
    )


@router.post("/runs/{run_id}/remark")
def choose_remark(
    request: Request, run_id: str, session: ReadDep, settings: SettingsDep, show: Annotated[str, Form(max_length=3)]
) -> Response:
    """Hide what the epoch table says in words, or show it again; this browser remembers it for the run."""
    find_run(session, run_id)
    others = [one for one in _quiet_runs(request) if one != run_id]
    response = RedirectResponse(address(request, f"/runs/{run_id}"), 303)
    quiet = others if show == "yes" else [run_id, *others][:_MOST_QUIET]
    path = settings.root_path or "/"
    response.set_cookie(_QUIET_COOKIE, ".".join(quiet), max_age=_YEAR_S, path=path, samesite="lax", httponly=True)
    return response


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
        dataset_name=_dataset_name(session, dataset_id),
        steps=spine(session, dataset_id, StepName.TRAIN),
        run_id=fields.get("run_id") or new_id(),
        workers=_trainers(session),
        before_it=before_in_line(session),
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
        dataset_name=_dataset_name(session, dataset_id),
        steps=spine(session, dataset_id, StepName.TRAIN),
    )


def _quiet_runs(request: Request) -> list[str]:
    """Runs of which this browser hides what is said in words."""
    return [one for one in request.cookies.get(_QUIET_COOKIE, "").split(".") if one]


def _slower(session: Session, run: RunView) -> str:
    """That it takes longer than was said before it started; empty where it doesn't, and where it was interrupted."""
    said = find_run(session, run.id).forecast
    if said is None or run.started_at is None or run.attempt > 1:
        return ""
    elapsed_s = (datetime.now(UTC) - run.started_at).total_seconds()
    return slower_words(Forecast(**said), elapsed_s, run.eta_s, _reason(session, run))


def _reason(session: Session, run: RunView) -> str:
    """Why it takes longer, where that is known; nothing is guessed."""
    runs = RunRepository(session)
    if runs.log(run.id, ["micro-batch-halved"], 1):
        return "memory was short and it works in smaller parts"
    if runs.log(run.id, ["rolled-back"], 1):
        return "a part had to be learnt again with a smaller rate"
    return ""


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


def _search_after(run: RunView) -> dict[str, str]:
    """The fields that ask for a search for a rate, after a loss that was no number; else none."""
    if run.failure is None or run.failure.code != "diverged":
        return {}
    if run.checkpoints:
        return {"checkpoint": run.checkpoints[-1].id}
    row = min(run.stage or 0, STAGE_ROWS - 1)
    start = {"starts_from": run.starts_from} if run.starts_from else {}
    return fields_of(run.config) | start | {"find_row": str(row)}


def _remedy(run: RunView) -> tuple[str, str] | None:
    """Words and address of the button that mends a failed run."""
    if run.failure is None:
        return None
    path = f"/versions/{run.version_id}/train?again={run.id}"
    if "memory" in run.failure.code and run.config["batch_size"] >= 4:
        half = run.config["batch_size"] // 2
        return f"Start again with batch {half}", f"{path}&batch_size={half}"
    return "Start again", path
