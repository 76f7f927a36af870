"""Pages: a search for a learning rate, and the buttons that start and stop one."""

from dataclasses import dataclass, replace
from typing import Final

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from backend.caller import CallerDep
from backend.dependencies import ReadDep, SettingsDep, UnitDep
from backend.domain.catalogue import architecture_of
from backend.domain.errors import AppError
from backend.domain.ids import DatasetId, VersionId
from backend.domain.json import Json
from backend.domain.lr_finder import FALLBACK, words
from backend.domain.training import RunStatus, TrainingConfig
from backend.journey.steps import StepName, steps_of
from backend.templating import address, page
from backend.training.forecast.forecast import Forecaster
from backend.training.form.content import problems_of
from backend.training.form.rate_search import order_from_checkpoint, order_from_form, search_time
from backend.training.lr_finds.service import FindView, cancel_find, show_find, start_find
from backend.training.pages.train import FormDep, train_form_page
from backend.training.repository import RunRepository

router = APIRouter(include_in_schema=False)

_RULES: Final = (
    ("valley", "Valley", "about the middle of the long slope; recommended"),
    ("steep", "Steepest", "where the loss falls fastest"),
    ("minimum", "Lowest / 10", "a tenth of the rate with the lowest loss"),
    ("slide", "Slide", "the last rate before the curve turns upwards"),
)
"""Name, title and sentence of each rule; the keys 1 to 4 choose them in this order."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One rule's point on the curve; ``rate`` is None where it found none."""

    number: int
    name: str
    title: str
    why: str
    rate: float | None


@router.post("/versions/{version_id}/lr-finds")
def submit_find(
    request: Request, version_id: str, form: FormDep, unit: UnitDep, settings: SettingsDep, caller: CallerDep
) -> Response:
    """Start a search: from a finished stage (``checkpoint``), or for a row of the train form (``find_row``)."""
    run_id = None
    try:
        if checkpoint_id := form.fields.get("checkpoint"):
            order, run_id = order_from_checkpoint(unit.session, version_id, checkpoint_id)
        else:
            row = form.fields.get("find_row", "")
            order = order_from_form(version_id, form, int(row) if row.isascii() and row.isdigit() else 0)
        order = replace(order, asked_by=caller.token_id)
        find_id = start_find(unit, order, settings.weights_folder, run_id=run_id)
    except AppError as refusal:
        if not problems_of(refusal, form):
            raise
        return train_form_page(request, unit.session, settings, version_id, form, refusal, is_open=True)
    return RedirectResponse(address(request, f"/lr-finds/{find_id}"), 303)


@router.post("/lr-finds/{find_id}/cancel")
def cancel(request: Request, find_id: str, unit: UnitDep) -> RedirectResponse:
    """Stop a search, and show it again."""
    cancel_find(unit.session, find_id)
    return RedirectResponse(address(request, f"/lr-finds/{find_id}"), 303)


@router.get("/lr-finds/{find_id}")
def find_page(request: Request, find_id: str, session: ReadDep) -> Response:
    """One search: how far it is, then its curve, the rules' points and the one to use."""
    find = show_find(session, find_id)
    result = find.result or {}
    return page(
        request,
        "training/lr_find.html",
        section="runs",
        find=find,
        result=result,
        marks=_marks(result),
        points=_points(result),
        fallback=FALLBACK,
        rate_words=words,
        architecture=architecture_of(find.config),
        steps=steps_of(session, DatasetId(find.dataset_id), StepName.TRAIN),
        is_at_work=not find.status.is_final,
        again=_again(find),
        takes="" if find.status.is_final else _takes(session, find),
    )


def _takes(session: Session, find: FindView) -> str:
    """How long a search takes here, with what comes before its first step; empty where nobody knows."""
    version = RunRepository(session).version(VersionId(find.version_id))
    if version is None:
        return ""
    forecaster = Forecaster(session, version.counts, find.version_id)
    return search_time(forecaster, TrainingConfig.model_validate(find.config), is_fresh=find.starts_from is None)


def _marks(result: dict[str, Json]) -> list[Mark]:
    suggested = result.get("suggestions", {})
    return [Mark(number, name, title, why, suggested.get(name)) for number, (name, title, why) in enumerate(_RULES, 1)]


def _points(result: dict[str, Json]) -> list[tuple[float, ...]]:
    """Rows of the table behind the chart: rate, loss, lowest and highest of the seeds."""
    columns = [result.get(name, []) for name in ("learning_rates", "losses", "losses_low", "losses_high")]
    return list(zip(*columns, strict=True))


def _again(find: FindView) -> str:
    """Where to go on after a search that gave nothing."""
    if find.status not in (RunStatus.FAILED, RunStatus.CANCELLED):
        return ""
    return f"/runs/{find.run_id}" if find.run_id else f"/versions/{find.version_id}/train"
