"""The first page: what runs now, and the datasets with their faces."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from backend.datasets.lists import list_datasets
from backend.datasets.samples import SAMPLES
from backend.dependencies import ReadDep, SettingsDep
from backend.home.cards import dataset_cards
from backend.home.search import search
from backend.ledger.job import CLAIMED
from backend.pagination import IdCursorDep
from backend.templating import THEME_COOKIE, THEMES, address, is_fragment, page
from backend.training.run_view import ACTIVE, RunView, list_runs

router = APIRouter(include_in_schema=False)

DATASETS_A_PAGE = 24
RUNS_SHOWN = 10
WAITING = tuple(set(ACTIVE) - CLAIMED)


@router.get("/")
def home(request: Request, session: ReadDep, after: IdCursorDep = None) -> Response:
    """What runs now, and the datasets, the newest first."""
    found = list_datasets(session, limit=DATASETS_A_PAGE + 1, after=after)
    shown = found[:DATASETS_A_PAGE]
    return page(
        request,
        "home/index.html",
        now=_now(session),
        datasets=dataset_cards(session, shown),
        next_path=f"/?after={shown[-1].row.id}" if len(found) > DATASETS_A_PAGE else None,
        samples=list(SAMPLES.values()),
    )


def _now(session: Session) -> list[RunView]:
    """What is at work, then what waits, in the order of the queue."""
    at_work = list_runs(session, limit=RUNS_SHOWN, states=CLAIMED)
    waiting = list_runs(session, limit=RUNS_SHOWN, states=WAITING)
    return at_work + sorted(waiting, key=lambda run: run.queue_position or 0)


@router.get("/datasets")
def datasets(request: Request) -> Response:
    """The first page lists them."""
    return RedirectResponse(address(request, "/"), 303)


@router.get("/search")
def search_page(request: Request, session: ReadDep, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Datasets, runs and classes by name; for our own script only the list of results."""
    template = "home/_found.html" if is_fragment(request) else "home/search.html"
    return page(request, template, q=q, found=search(session, q))


@router.get("/session", status_code=204)
def session() -> None:
    """Nothing, to whoever is signed in: by this a page finds out whether the server answers and knows its caller."""


@router.post("/theme")
def choose_theme(
    request: Request, settings: SettingsDep, theme: Annotated[str, Form(max_length=10)] = "system"
) -> Response:
    """Colours for this browser, where no script does it."""
    response = RedirectResponse(address(request, "/"), 303)
    path = settings.root_path or "/"
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=31_536_000, path=path, samesite="lax")
    else:
        response.delete_cookie(THEME_COOKIE, path=path)
    return response
