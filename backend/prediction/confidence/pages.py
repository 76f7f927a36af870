"""The page “How sure”: whether a confidence can be believed, when to answer, and what is none of the classes."""

from collections.abc import Iterator
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.dependencies import ReadDep, Services, ServicesDep
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.errors import AppError
from backend.domain.ids import RunId
from backend.imaging.pool import decoding_pool
from backend.interpretation import service as results_service
from backend.interpretation.context import OpenedDep, nothing_yet, results_context
from backend.interpretation.find import OpenedRun, results_of
from backend.interpretation.service import Results
from backend.prediction.confidence.measured import AnswersMissing
from backend.prediction.confidence.schemas import ConfidenceIn
from backend.prediction.confidence.service import (
    Choice,
    Confidence,
    cancel_measuring,
    choose,
    confidence_of,
    start_measuring,
)
from backend.prediction.confidence.view import calibration_words, points_of, precision_line, strangeness_chart
from backend.prediction.dependencies import ModelsDep
from backend.templating import go_to, page
from backend.training.find import find_run

router = APIRouter(include_in_schema=False)

PATH: Final = "/sure"
_CLASS_FIELD: Final = "limit-"
Whole = Annotated[int, Query(ge=0, le=100)]


@router.get("/runs/{run_id}/understand/sure")
def sure(
    request: Request,
    session: ReadDep,
    services: ServicesDep,
    opened: OpenedDep,
    shown: bool = False,
    temperature: bool = False,
    threshold: Whole = 0,
    refused: Annotated[float, Query(ge=0, le=20)] = 0,
    unknown: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """What is known of a model's confidence; with ``shown``, what the choices of the form would mean."""
    if opened.results is None:
        return nothing_yet(request, session, opened)
    results = opened.results
    limits = dict(_class_limits(request, results)) if threshold else {}
    choice = Choice(temperature, threshold / 100 or None, limits, refused / 100 or None) if shown else None
    try:
        found = _found(session, services, results, choice, unknown / 100)
    except AnswersMissing as refusal:
        return _page(request, session, opened, results, found=None, refusal=refusal)
    return _page(request, session, opened, results, found=found, unknown=unknown, **_charts(found))


@router.post("/runs/{run_id}/understand/sure")
def choose_sure(
    run_id: str,
    request: Request,
    services: ServicesDep,
    cache: ModelsDep,
    checkpoint: Annotated[str, Form(max_length=64)],
    choice: Annotated[str, Form(max_length=200_000)] = "{}",
    action: Annotated[str, Form(max_length=20)] = "choose",
) -> Response:
    """Keep what the form shows, switch the temperature, start or cancel the measurement, or go back to the usual."""
    path = f"/runs/{run_id}/understand{PATH}?checkpoint={checkpoint}"
    with services.database.read() as session:
        results = results_of(session, RunId(run_id), checkpoint or None)  # type: ignore[arg-type]
    checkpoint = results.checkpoint_id
    try:
        if action == "measure":
            start_measuring(services.open_unit(), checkpoint)
            return go_to(request, path + _shown_choice(choice, results))
        if action == "cancel":
            cancel_measuring(services.open_unit(), checkpoint)
            return go_to(request, path + _shown_choice(choice, results), "The measurement is cancelled.")
        chosen = ConfidenceIn() if action == "reset" else ConfidenceIn.model_validate_json(choice)
        if action == "temperature":
            chosen.temperature = not chosen.temperature
        choose(services, cache, decoding_pool(), checkpoint, chosen.choice)
    except ValidationError:
        return go_to(request, path, "These settings can't be used. Set them anew.")
    except AppError as error:
        return go_to(request, path, f"{error.message} {error.advice}".strip())
    words = "Answers are as before." if action == "reset" else "Saved. Answers and downloads follow these settings."
    return go_to(request, path, words)


def _shown_choice(choice: str, results: Results) -> str:
    """The part of the page's address that shows what the form showed, saved or not."""
    try:
        shown = ConfidenceIn.model_validate_json(choice)
    except ValidationError:
        return ""
    given = {"shown": "true", "temperature": "true" if shown.temperature else "false"}
    if shown.threshold:
        given["threshold"] = str(round(100 * shown.threshold))
    if shown.familiar_refused:
        given["refused"] = f"{100 * shown.familiar_refused:g}"
    for name, limit in shown.class_thresholds.items():
        if name in results.classes:
            given[f"{_CLASS_FIELD}{results.classes.index(name)}"] = str(round(100 * limit))
    return f"&{urlencode(given)}"


def _class_limits(request: Request, results: Results) -> Iterator[tuple[str, float]]:
    for index, name in enumerate(results.classes):
        given = request.query_params.get(f"{_CLASS_FIELD}{index}", "")
        if given.isascii() and given.isdigit() and int(given) <= 100:
            yield name, int(given) / 100


def _found(session: Session, services: Services, results: Results, choice: Choice | None, share: float) -> Confidence:
    try:
        return confidence_of(session, services, results.checkpoint_id, choice, share)
    except AnswersMissing:
        raise
    except AppError:
        # An address that somebody kept, of a choice that isn't possible any more.
        return confidence_of(session, services, results.checkpoint_id, None, share)


def _charts(found: Confidence) -> dict[str, Any]:  # Any: the template's context
    measured, limit = found.measured, found.shown.strangeness_limit
    with_temperature = found.shown.temperature is not None and measured.temperature is not None
    drawn = measured.temperature.after if with_temperature and measured.temperature else measured.plain
    known = found.familiarity
    return {
        "calibration": drawn,
        "points": points_of(drawn),
        "calibration_words": calibration_words(drawn),
        "strangeness": strangeness_chart(known, limit) if known else None,
        "precision_line": precision_line(known, limit) if known and limit is not None else "",
        "choice": ConfidenceIn(
            temperature=found.shown.temperature is not None,
            threshold=found.shown.threshold,
            class_thresholds=dict(found.shown.class_thresholds),
            familiar_refused=found.shown.familiar_refused,
        ).model_dump_json(),
        "is_saved": _same(found.shown, found.chosen.settings),
    }


def _same(shown: ConfidenceSettings, chosen: ConfidenceSettings) -> bool:
    return Choice.of(shown) == Choice.of(chosen)


def _page(
    request: Request,
    session: Session,
    opened: OpenedRun,
    results: Results,
    **context: Any,  # Any: the template's context
) -> Response:
    stages = find_run(session, results.run_id).config.get("stages", [])
    summary = results_service.summary(session, results)
    return page(
        request,
        "prediction/sure.html",
        **results_context(request, session, opened, results, summary, PATH),
        is_fine_tuned=any(not stage.get("freeze", True) for stage in stages[: results.stage + 1]),
        **context,
    )
