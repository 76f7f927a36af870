"""The page of the confusion matrix: pairs that were confused, and of two classes what each threshold costs."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BeforeValidator
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.dependencies import ReadDep, StorageDep
from backend.domain.confidence.costs import USUAL_PERCENT, Costs
from backend.domain.manifest import Split
from backend.interpretation import service
from backend.interpretation.confusions import MatrixChoiceDep, confusions_context
from backend.interpretation.context import OpenedDep, nothing_yet, results_context
from backend.interpretation.service import Results
from backend.prediction.confidence.costs_view import cost_chart, cost_words
from backend.prediction.confidence.measured import AnswersMissing
from backend.prediction.confidence.two_classes import ThresholdChoice, TwoClasses, two_classes_of
from backend.storage.base import Storage
from backend.templating import page

router = APIRouter(include_in_schema=False)

_USUAL: Final = Costs()


def _or(usual: float) -> BeforeValidator:
    # A form without a script sends its empty fields as well.
    return BeforeValidator(lambda value: usual if value == "" else value)


Percent = Annotated[int, Query(ge=0, le=100), _or(USUAL_PERCENT)]
CostOfMissed = Annotated[float, Query(ge=0, le=1_000_000, allow_inf_nan=False), _or(_USUAL.missed)]
CostOfFalse = Annotated[float, Query(ge=0, le=1_000_000, allow_inf_nan=False), _or(_USUAL.false)]


def _threshold(
    chosen: Annotated[str, Query(alias="class", max_length=400)] = "",
    threshold: Percent = USUAL_PERCENT,
    missed: CostOfMissed = _USUAL.missed,
    false: CostOfFalse = _USUAL.false,
) -> ThresholdChoice:
    return ThresholdChoice(chosen, threshold, Costs(missed, false))


@router.get("/runs/{run_id}/understand/confusions")
def confusions(
    request: Request,
    session: ReadDep,
    storage: StorageDep,
    opened: OpenedDep,
    matrix: MatrixChoiceDep,
    threshold: Annotated[ThresholdChoice, Depends(_threshold)],
) -> Response:
    """The confusion matrix, for two classes with a threshold and its costs, and the most confused pairs."""
    results = opened.results
    if results is None:
        return nothing_yet(request, session, opened)
    summary = service.summary(session, results)
    return page(
        request,
        "interpretation/confusions.html",
        **results_context(request, session, opened, results, summary, "/confusions"),
        **confusions_context(session, results, summary, matrix),
        **_costs_context(session, storage, results, threshold),
    )


def _costs_context(
    session: Session, storage: Storage, results: Results, threshold: ThresholdChoice
) -> dict[str, Any]:  # Any: the template's context
    nothing: dict[str, Any] = {"two": None, "costs_missing": None, "kept_choice": {}}
    # A threshold is chosen on validation pictures; test pictures are there to judge what was chosen.
    if len(results.classes) != 2 or results.split is not Split.VALID:
        return nothing
    try:
        found = two_classes_of(session, storage, results, threshold)
    except AnswersMissing as refusal:
        return nothing | {"costs_missing": refusal}
    return nothing | {"two": found, "chart": cost_chart(found), "cost_words": cost_words, "kept_choice": _query(found)}


def _query(found: TwoClasses) -> dict[str, str]:
    """What the page's address says of a choice; the usual is left out. Texts, as links leave out a 0."""
    costs = found.costs
    given = {
        "class": found.chosen if found.is_second else "",
        "threshold": "" if found.shown.percent == USUAL_PERCENT else str(found.shown.percent),
        "missed": "" if costs.missed == _USUAL.missed else f"{costs.missed:.10g}",
        "false": "" if costs.false == _USUAL.false else f"{costs.false:.10g}",
    }
    return {name: value for name, value in given.items() if value}
