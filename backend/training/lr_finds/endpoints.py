"""REST: searches for a learning rate."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from backend.caller import CallerDep
from backend.dependencies import ReadDep, SettingsDep, UnitDep
from backend.pagination import IdCursorDep, LimitQuery, Page
from backend.training.lr_finds.schemas import FindCreate, FindRead
from backend.training.lr_finds.service import cancel_find, list_finds, show_find, start_find

router = APIRouter(prefix="/api/v1", tags=["runs"])

IdQuery = Annotated[str | None, Query(max_length=64)]


@router.post("/lr-finds", status_code=201)
def create_lr_find(body: FindCreate, unit: UnitDep, settings: SettingsDep, caller: CallerDep) -> FindRead:
    """Queue a search for a learning rate, from any checkpoint or from the fresh head."""
    order = replace(body.order(), asked_by=caller.token_id)
    find_id = start_find(unit, order, settings.weights_folder, run_id=body.run_id)
    return FindRead.of(show_find(unit.session, find_id))


@router.get("/lr-finds")
def read_lr_finds(
    session: ReadDep, limit: LimitQuery = 100, after: IdCursorDep = None, version: IdQuery = None, run: IdQuery = None
) -> Page[FindRead]:
    """Searches, the newest first; of one version or beside one run where that is named."""
    views = list_finds(session, limit=limit + 1, after=after, version_id=version, run_id=run)
    return Page[FindRead].of(views, limit, FindRead.of)


@router.get("/lr-finds/{find_id}")
def read_lr_find(find_id: str, session: ReadDep) -> FindRead:
    """A search as it stands, with its curve and choice once it is done."""
    return FindRead.of(show_find(session, find_id))


@router.post("/lr-finds/{find_id}/cancel", status_code=202)
def cancel_lr_find(find_id: str, unit: UnitDep) -> FindRead:
    """Stop a search; nothing of it is kept."""
    cancel_find(unit.session, find_id)
    return FindRead.of(show_find(unit.session, find_id))
