"""REST: runs, their epochs and events, checkpoints and the catalogue of architectures."""

import asyncio
from dataclasses import replace
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse

from backend.caller import CallerDep
from backend.dependencies import ReadDep, ServicesDep, SettingsDep, UnitDep
from backend.domain.architectures import ARCHITECTURES
from backend.domain.ids import RunId
from backend.domain.training import RunStatus
from backend.pagination import IdCursorDep, LimitQuery, Page
from backend.training import control
from backend.training.find import find_checkpoint, find_run
from backend.training.marks import mark
from backend.training.remove import remove_runs
from backend.training.repository import RunRepository
from backend.training.retrain import retrain
from backend.training.run_view import list_runs, show_run, states_of
from backend.training.schemas import (
    ArchitectureRead,
    CheckpointRead,
    EpochRead,
    PlanRead,
    RunCreate,
    RunPatch,
    RunRead,
)
from backend.training.start import plan, start
from backend.training.stream import EventFeed, messages

router = APIRouter(prefix="/api/v1", tags=["runs"])

_PING_S: Final = 15
_FAREWELL_S: Final = 2

IdQuery = Annotated[str | None, Query(max_length=64)]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Number of the last event received.")]
LastEventIdQuery = Annotated[
    str | None, Query(alias="last_event_id", description="The same, for browsers that open a stream anew.")
]


def event_feed(request: Request) -> EventFeed:
    """The application's open streams."""
    found = request.app.state.event_feed
    assert isinstance(found, EventFeed)
    return found


EventFeedDep = Annotated[EventFeed, Depends(event_feed)]


@router.post("/runs", status_code=201, responses={200: {"model": PlanRead}})
def create_run(
    body: RunCreate,
    unit: UnitDep,
    settings: SettingsDep,
    caller: CallerDep,
    response: Response,
    dry_run: bool = False,
) -> RunRead | PlanRead:
    """Queue a training; with ``dry_run`` only say how it would run and how long it would take."""
    order = replace(body.order(), asked_by=caller.token_id)
    if dry_run:
        response.status_code = 200
        return PlanRead.of(plan(unit.session, order, settings.weights_folder))
    run = start(unit, order, settings.weights_folder)
    return RunRead.of(show_run(unit.session, run.id))


@router.post("/runs/{run_id}/retrain", status_code=201)
def retrain_run(run_id: str, services: ServicesDep, settings: SettingsDep, caller: CallerDep) -> RunRead:
    """Train again with the labels as they stand, on a new version in which each picture stays on its side."""
    new = retrain(
        services.database,
        services.open_unit(),
        services.storage,
        settings.weights_folder,
        run_id,
        asked_by=caller.token_id,
    )
    with services.database.read() as session:
        return RunRead.of(show_run(session, new))


@router.get("/runs")
def read_runs(
    session: ReadDep,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
    version: IdQuery = None,
    dataset: IdQuery = None,
    status: RunStatus | None = None,
) -> Page[RunRead]:
    """Runs, the newest first; of one version, dataset or status where that is named."""
    views = list_runs(
        session, limit=limit + 1, after=after, version_id=version, dataset_id=dataset, states=states_of(status)
    )
    return Page[RunRead].of(views, limit, RunRead.of)


@router.get("/runs/{run_id}")
def read_run(run_id: str, session: ReadDep) -> RunRead:
    """A run as it stands."""
    return RunRead.of(show_run(session, run_id))


@router.patch("/runs/{run_id}")
def mark_run(run_id: str, body: RunPatch, unit: UnitDep) -> RunRead:
    """Star a run, or write a note on it."""
    mark(unit.session, RunId(run_id), starred=body.starred, note=body.note)
    return RunRead.of(show_run(unit.session, run_id))


@router.delete("/runs/{run_id}", status_code=204)
def delete_run(run_id: str, services: ServicesDep) -> None:
    """Delete an ended run with its models, answers and saved states; refused while a later run needs one of them."""
    remove_runs(services.open_unit(), services.storage, [run_id])


@router.get("/runs/{run_id}/epochs")
def read_epochs(run_id: str, session: ReadDep, limit: LimitQuery = 1000, after: IdCursorDep = None) -> Page[EpochRead]:
    """The course's table: one row per finished epoch."""
    find_run(session, run_id)
    rows = RunRepository(session).epochs(run_id, limit=limit + 1, after=after)
    return Page[EpochRead].of(rows, limit, EpochRead.of)


@router.post("/runs/{run_id}/cancel", status_code=202)
def cancel_run(run_id: str, unit: UnitDep) -> RunRead:
    """Cancel a run; the models of its finished stages are kept."""
    control.cancel(unit.session, run_id)
    return RunRead.of(show_run(unit.session, run_id))


@router.post("/runs/{run_id}/pause", status_code=202)
def pause_run(run_id: str, unit: UnitDep) -> RunRead:
    """Pause a run: it saves its progress, to the step, and frees its device."""
    control.pause(unit.session, run_id)
    return RunRead.of(show_run(unit.session, run_id))


@router.post("/runs/{run_id}/resume", status_code=202)
def resume_run(run_id: str, unit: UnitDep) -> RunRead:
    """Resume a paused run from the step that it had got to."""
    control.resume(unit, run_id)
    return RunRead.of(show_run(unit.session, run_id))


@router.post("/runs/{run_id}/finish", status_code=202)
def finish_run(run_id: str, unit: UnitDep) -> RunRead:
    """Stop after the running epoch, and keep its model."""
    control.finish(unit.session, run_id)
    return RunRead.of(show_run(unit.session, run_id))


@router.get("/checkpoints/{checkpoint_id}", tags=["models"])
def read_checkpoint(checkpoint_id: str, session: ReadDep) -> CheckpointRead:
    """A finished stage: classes, preprocessing, figures, hash."""
    return CheckpointRead.of(find_checkpoint(session, checkpoint_id))


@router.get("/architectures", tags=["models"])
def read_architectures(
    services: ServicesDep,
    search: Annotated[
        str | None,
        Query(
            max_length=100,
            description="Words of the names of timm's networks to list instead, such as `convnext tiny`. A whole name "
            "is described in full; of others what takes seconds to find out is null.",
        ),
    ] = None,
    limit: LimitQuery = 50,
) -> Page[ArchitectureRead]:
    """The networks to choose from, and which pretrained weights are on this machine already."""
    folder = services.settings.weights_folder
    if search is None:
        return Page[ArchitectureRead](items=[ArchitectureRead.of(entry, folder) for entry in ARCHITECTURES.values()])
    entries = [(one, services.networks.described(one.name)) for one in services.networks.search(search, limit)]
    if exact := services.networks.named(search):
        entries = [(one, exact if one.name == exact.name else entry) for one, entry in entries]
    return Page[ArchitectureRead](
        items=[
            ArchitectureRead.of(entry, folder) if entry else ArchitectureRead.of_listed(one, folder)
            for one, entry in entries
        ]
    )


@router.get("/runs/{run_id}/events", response_class=EventSourceResponse)
async def stream_run(
    run_id: str, feed: EventFeedDep, last: LastEventId = None, last_query: LastEventIdQuery = None
) -> EventSourceResponse:
    """A run's events as they happen; ``Last-Event-ID`` goes on where a stream broke off. Ends with the run."""
    return await _stream(feed, run_id, last or last_query, wants_pill=False)


@router.get("/events", response_class=EventSourceResponse)
async def stream_events(
    feed: EventFeedDep,
    run: IdQuery = None,
    last: LastEventId = None,
    last_query: LastEventIdQuery = None,
) -> EventSourceResponse:
    """A tab's one stream: the newest run, and the events of one run where it is named."""
    return await _stream(feed, run, last or last_query, wants_pill=True)


async def _stream(feed: EventFeed, run_id: str | None, last: str | None, *, wants_pill: bool) -> EventSourceResponse:
    after = int(last) if last and last.isascii() and last.isdigit() and len(last) < 19 else None
    loop = asyncio.get_running_loop()
    subscription = await run_in_threadpool(feed.open, loop, run_id=run_id, after=after, wants_pill=wants_pill)
    leaving = anyio.Event()
    return EventSourceResponse(
        messages(feed, subscription, leaving),
        ping=_PING_S,
        headers={"Cache-Control": "no-store"},
        # So that a stream is ended in order, and not cut, when the server leaves.
        shutdown_event=leaving,
        shutdown_grace_period=_FAREWELL_S,
    )
