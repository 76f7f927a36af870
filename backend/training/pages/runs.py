"""Pages: the list of runs, and one run as it goes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from backend.datasets.urls import thumbnail_url
from backend.dependencies import ReadDep, SettingsDep, UnitDep
from backend.domain.architectures import ARCHITECTURES
from backend.domain.ids import DatasetId
from backend.domain.json import Json
from backend.domain.results import model_rank
from backend.journey.steps import StepName, steps_of
from backend.pagination import IdCursorDep
from backend.templating import address, page
from backend.training import control
from backend.training.find import find_run
from backend.training.forecast.durations import eta_words
from backend.training.forecast.forecast import Forecast
from backend.training.forecast.sentences import slower_words
from backend.training.form.reading import STAGE_ROWS
from backend.training.form.writing import fields_of
from backend.training.queue import device_words, trainers_in_words
from backend.training.repository import RunRepository
from backend.training.run_page.content import run_page
from backend.training.run_page.log import rate_words
from backend.training.run_page.settings import settings_as_json
from backend.training.run_view import RunView, list_runs, show_run

router = APIRouter(include_in_schema=False)

RUNS_A_PAGE: Final = 30
_QUIET_COOKIE: Final = "tellapart_quiet"
_MOST_QUIET: Final = 30
_YEAR_S: Final = 31_536_000


@router.get("/runs")
def runs_page(
    request: Request,
    session: ReadDep,
    after: IdCursorDep = None,
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
        steps=steps_of(session, DatasetId(shown.dataset_id), StepName.TRAIN),
        has_worker=bool(trainers_in_words(session)),
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


def _best(run: RunView) -> Mapping[str, Json] | None:
    """The figures of the run's best stage."""
    return min((row.metrics["valid"] for row in run.checkpoints), key=_rank, default=None)


def _rank(valid: Mapping[str, Json]) -> tuple[float, float]:
    return model_rank(valid["error_rate"], valid["loss"])


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
