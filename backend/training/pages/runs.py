"""Pages: the list of runs, and one run as it goes."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from backend.datasets.urls import thumbnail_url
from backend.dependencies import ReadDep, ServicesDep, SettingsDep, StorageDep, UnitDep
from backend.domain.catalogue import architecture_of
from backend.domain.ids import DatasetId, RunId, new_id
from backend.domain.runs import STATUS_WORDS
from backend.domain.training import RunStatus
from backend.interpretation.corrections import corrections_of
from backend.journey.steps import StepName, steps_of
from backend.pagination import IdCursorDep
from backend.templating import address, page
from backend.training import control
from backend.training.find import find_run
from backend.training.forecast.durations import eta_words
from backend.training.forecast.forecast import Forecast
from backend.training.forecast.sentences import correction_words
from backend.training.form.rate_search import search_times
from backend.training.form.reading import STAGE_ROWS
from backend.training.form.writing import fields_of
from backend.training.marks import NOTE_LENGTH, mark
from backend.training.queue import device_words, trainers_in_words
from backend.training.remove import plan_deletion, remove_runs
from backend.training.repository import RunRepository
from backend.training.run_list import RunOrder, run_list
from backend.training.run_page.content import run_page
from backend.training.run_page.hardware import is_slowed
from backend.training.run_page.log import rate_words
from backend.training.run_page.settings import settings_as_json
from backend.training.run_view import RunView, show_run
from backend.weights import available_architectures, is_available

router = APIRouter(include_in_schema=False)

MOST_AT_ONCE: Final = 500
RunIds = Annotated[list[str], Query(default_factory=list, max_length=MOST_AT_ONCE)]
_QUIET_COOKIE: Final = "tellapart_quiet"
_MOST_QUIET: Final = 30
_YEAR_S: Final = 31_536_000


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which runs are listed, and in which order."""

    dataset: str
    status: RunStatus | None
    order: RunOrder

    def path(self, **query: str | None) -> str:
        """The address of the list; what is usual isn't in it."""
        order = None if self.order is RunOrder.NEWEST else self.order.value
        given = {"dataset": self.dataset, "status": self.status, "order": order, **query}
        asked = urlencode({name: value for name, value in given.items() if value})
        return f"/runs?{asked}" if asked else "/runs"


def _list_filter(
    dataset: Annotated[str, Query(max_length=64)] = "",
    status: Annotated[str, Query(max_length=16)] = "",
    order: Annotated[str, Query(max_length=16)] = RunOrder.NEWEST,
) -> ListFilter:
    return ListFilter(
        dataset,
        RunStatus(status) if status in set(RunStatus) else None,
        RunOrder(order) if order in set(RunOrder) else RunOrder.NEWEST,
    )


ListFilterDep = Annotated[ListFilter, Depends(_list_filter)]


@router.get("/runs")
def runs_page(
    request: Request,
    session: ReadDep,
    chosen: ListFilterDep,
    after: IdCursorDep = None,
    deleted: Annotated[int, Query(ge=0, le=MOST_AT_ONCE)] = 0,
) -> Response:
    """All runs in a table; of one dataset or status, in the order that is wanted."""
    found = run_list(session, order=chosen.order, dataset_id=chosen.dataset or None, status=chosen.status, after=after)
    return page(
        request,
        "training/runs.html",
        section="runs",
        list=found,
        datasets=RunRepository(session).datasets(),
        statuses=[(one.value, STATUS_WORDS[one]) for one in RunStatus],
        orders=[(one.value, _ORDER_WORDS[one]) for one in RunOrder],
        chosen=chosen,
        in_order=lambda order: replace(chosen, order=RunOrder(order)).path(),
        is_filtered=bool(chosen.dataset or chosen.status),
        marks_query=chosen.path().partition("?")[2],
        note_length=NOTE_LENGTH,
        next_path=chosen.path(after=found.next) if found.next else None,
        first_path=chosen.path() if after else None,
        deleted="" if not deleted else f"{deleted} run{'s were' if deleted > 1 else ' was'} deleted.",
        eta=_eta,
    )


_ORDER_WORDS: Final = {
    RunOrder.NEWEST: "newest first",
    RunOrder.BEST: "fewest errors first",
    RunOrder.QUICKEST: "quickest first",
}


@router.get("/runs/delete")
def confirm_deletion(request: Request, session: ReadDep, run: RunIds) -> Response:
    """What deleting the selected runs would free, and the button that does it."""
    if not run:
        return RedirectResponse(address(request, "/runs"), 303)
    return page(request, "training/runs_delete.html", section="runs", plan=plan_deletion(session, run))


@router.post("/runs/delete")
def delete_runs(
    request: Request, services: ServicesDep, run: Annotated[list[str], Form(max_length=MOST_AT_ONCE)]
) -> Response:
    """Delete the selected runs, and show the list again."""
    plan = remove_runs(services.open_unit(), services.storage, run)
    return RedirectResponse(address(request, f"/runs?deleted={len(plan.runs)}"), 303)


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str, session: ReadDep, settings: SettingsDep, storage: StorageDep) -> Response:
    """One run: its tables, curves, checkpoints and log, as they stand at this moment."""
    shown = show_run(session, run_id)
    return page(
        request,
        "training/run.html",
        section="runs",
        page=run_page(session, shown),
        correction=_correction(session, shown),
        run=shown,
        crumbs=[("Datasets", "/"), (shown.dataset_name, f"/datasets/{shown.dataset_id}"), (shown.name, "")],
        steps=steps_of(session, DatasetId(shown.dataset_id), StepName.TRAIN),
        has_worker=bool(trainers_in_words(session)),
        device=device_words(shown.device) if shown.device else "",
        architecture=architecture_of(shown.config),
        eta=_eta(shown),
        rate_words=rate_words,
        remedy=_remedy(shown, settings.weights_folder),
        diverged=_search_after(shown),
        search_times=search_times(session, shown.version_id, shown.config, [row.stage for row in shown.checkpoints]),
        config_json=settings_as_json(shown.config),
        thumbnail_url=lambda image: address(request, thumbnail_url(image.image_id)),
        is_quiet=run_id in _quiet_runs(request),
        corrections=corrections_of(session, storage, RunId(run_id)),
        dataset_id=shown.dataset_id,
        new_run_id=new_id(),
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


@router.post("/runs/{run_id}/star")
def star_run(
    request: Request, run_id: str, unit: UnitDep, chosen: ListFilterDep, starred: Annotated[bool, Form()]
) -> Response:
    """Star a run, or take the star away, and show the list again."""
    mark(unit.session, RunId(run_id), starred=starred)
    return RedirectResponse(address(request, f"{chosen.path()}#run-{run_id}"), 303)


@router.post("/runs/{run_id}/note")
def note_run(
    request: Request,
    run_id: str,
    unit: UnitDep,
    chosen: ListFilterDep,
    note: Annotated[str, Form(max_length=NOTE_LENGTH)] = "",
) -> Response:
    """Write a note on a run, and show the list again."""
    mark(unit.session, RunId(run_id), note=note)
    return RedirectResponse(address(request, f"{chosen.path()}#run-{run_id}"), 303)


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


def _correction(session: Session, run: RunView) -> str:
    """That it takes longer or less than was estimated; empty where it doesn't, and where it was interrupted."""
    said = find_run(session, run.id).forecast
    if said is None or run.started_at is None or run.attempt > 1:
        return ""
    elapsed_s = (datetime.now(UTC) - run.started_at).total_seconds()
    return correction_words(Forecast(**said), elapsed_s, run.eta_s, lambda: _reason(session, run))


def _reason(session: Session, run: RunView) -> str:
    """Why it takes longer, where that is known; nothing is guessed."""
    runs = RunRepository(session)
    if runs.log(run.id, ["micro-batch-halved"], 1):
        return "memory ran short, so batches are computed in smaller parts"
    if runs.log(run.id, ["rolled-back"], 1):
        return "a part had to be trained again with a smaller learning rate"
    if is_slowed(session, run):
        return "other programs use this computer’s processors"
    return ""


def _eta(run: RunView) -> str:
    return "" if run.eta_s is None else f"{eta_words(run.eta_s)} left"


def _search_after(run: RunView) -> dict[str, str]:
    """The fields that ask for a search for a rate, after a loss that was no number; else none."""
    if run.failure is None or run.failure.code != "diverged":
        return {}
    if run.checkpoints:
        return {"checkpoint": run.checkpoints[-1].id}
    row = min(run.stage or 0, STAGE_ROWS - 1)
    start = {"starts_from": run.starts_from} if run.starts_from else {}
    return fields_of(run.config) | start | {"find_row": str(row)}


_NEEDS_PICTURES: Final = frozenset({"too-few-images", "too-many-unreadable"})


def _remedy(run: RunView, weights_folder: Path) -> tuple[str, str] | None:
    """Words and address of the button that mends a failed run; the same again is offered only where it can succeed."""
    if run.failure is None:
        return None
    if run.failure.code in _NEEDS_PICTURES:
        return "Go to the pictures", f"/datasets/{run.dataset_id}"
    path = f"/versions/{run.version_id}/train?again={run.id}"
    if run.failure.code == "weights-unavailable" and not _has_weights(run, weights_folder):
        ready = available_architectures(weights_folder)
        return (f"Train with {ready[0].title} instead", f"{path}&model={ready[0].name}") if ready else None
    if "memory" in run.failure.code and run.config["batch_size"] >= 4:
        half = run.config["batch_size"] // 2
        return f"Start again with batch {half}", f"{path}&batch_size={half}"
    return "Start again", path


def _has_weights(run: RunView, weights_folder: Path) -> bool:
    wanted = [one for one in architecture_of(run.config).weights if one.name == run.config["weights"]]
    return all(is_available(one, weights_folder) for one in wanted)
