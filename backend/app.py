"""Wiring only: settings in, application out."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from backend import error_handlers, openapi
from backend.accounts import endpoints as accounts_endpoints
from backend.accounts import pages as accounts_pages
from backend.accounts.gate import Gate
from backend.accounts.repeats import Repeats
from backend.bodies import BodyLimit
from backend.built_files import BuiltFiles
from backend.datasets import endpoints as dataset_endpoints
from backend.datasets import pages as dataset_pages
from backend.datasets.deletion import endpoints as deletion_endpoints
from backend.datasets.deletion import pages as deletion_pages
from backend.datasets.examine import endpoints as examine_endpoints
from backend.datasets.examine import pages as examine_pages
from backend.datasets.export import endpoints as export_endpoints
from backend.datasets.health import endpoints as health_endpoints
from backend.datasets.health import pages as health_pages
from backend.datasets.labels import endpoints as label_endpoints
from backend.datasets.labels import pages as label_pages
from backend.datasets.labels.by_hand import endpoints as by_hand_endpoints
from backend.datasets.labels.by_hand import pages as by_hand_pages
from backend.datasets.labels.ledger import endpoints as ledger_endpoints
from backend.datasets.labels.ledger import pages as ledger_pages
from backend.datasets.labels.versions import endpoints as version_endpoints
from backend.datasets.labels.versions import pages as version_pages
from backend.datasets.look import endpoints as look_endpoints
from backend.datasets.look import pages as look_pages
from backend.datasets.map import endpoints as map_endpoints
from backend.datasets.map import pages as map_pages
from backend.datasets.pictures import endpoints as picture_endpoints
from backend.datasets.pictures import pages as picture_pages
from backend.datasets.sources import endpoints as source_endpoints
from backend.datasets.sources import pages as source_pages
from backend.db.session import Database
from backend.dependencies import Services
from backend.domain.catalogue import use_lookup
from backend.home import pages as home_pages
from backend.imaging.pool import allow_megapixels, decoding_pool
from backend.interpretation import endpoints as interpretation_endpoints
from backend.interpretation import pages as interpretation_pages
from backend.interpretation.advice import endpoints as advice_endpoints
from backend.interpretation.advice import pages as advice_pages
from backend.interpretation.fix import endpoints as fix_endpoints
from backend.interpretation.fix import pages as fix_pages
from backend.interpretation.suspects import endpoints as suspects_endpoints
from backend.ledger.sweep import Sweeper
from backend.ledger.unit_of_work import JobNotifier, NoNotifier
from backend.log import RequestLog
from backend.prediction import endpoints as prediction_endpoints
from backend.prediction import pages as prediction_pages
from backend.prediction import picture_page
from backend.prediction.confidence import confusions_page
from backend.prediction.confidence import endpoints as confidence_endpoints
from backend.prediction.confidence import pages as confidence_pages
from backend.prediction.heatmaps import endpoints as heatmap_endpoints
from backend.prediction.inside import endpoints as inside_endpoints
from backend.prediction.inside import pages as inside_pages
from backend.prediction.inside.looking import LOOKS
from backend.prediction.models import ModelCache
from backend.security import KnownHosts, RootPath, SecurityHeaders
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.system import endpoints as system_endpoints
from backend.system import pages as system_pages
from backend.timm_lookup import TimmLookup
from backend.training import endpoints as training_endpoints
from backend.training.compare import endpoints as compare_endpoints
from backend.training.compare import pages as compare_pages
from backend.training.exports import endpoints as model_export_endpoints
from backend.training.exports import pages as report_pages
from backend.training.lr_finds import endpoints as lr_finds_endpoints
from backend.training.pages import lr_find as lr_find_pages
from backend.training.pages import retrain as retrain_pages
from backend.training.pages import runs as runs_pages
from backend.training.pages import train as train_pages
from backend.training.pages import train_now as train_now_pages
from backend.training.stream import EventFeed
from backend.uploads import endpoints as upload_endpoints
from backend.uploads.recovery import keep_recovering


def create_app(settings: Settings, *, notifier: JobNotifier | None = None) -> FastAPI:
    """The web application; the database must have been migrated."""
    services = Services(
        settings,
        Database(settings.sql_url),
        LocalStorage(settings.storage_folder),
        notifier or NoNotifier(),
        TimmLookup(settings.networks_folder),
    )
    use_lookup(services.networks)
    allow_megapixels(settings.max_megapixels)
    app = Tellapart(services)
    error_handlers.install(app)
    openapi.install(app)
    app.mount("/static", BuiltFiles(), name="static")
    return app


@cache
def _built_routes() -> Sequence[BaseRoute]:
    """All addresses in the order in which they are tried, built now and not at the first request.

    FastAPI builds them behind its own lock, but mutes pydantic's warnings while it does, which isn't safe in threads.
    """
    together = APIRouter(generate_unique_id_function=_operation_id)
    for router in (
        accounts_endpoints.router,
        accounts_pages.router,
        interpretation_endpoints.router,
        interpretation_pages.router,
        suspects_endpoints.router,
        advice_endpoints.router,
        advice_pages.router,
        fix_endpoints.router,
        fix_pages.router,
        prediction_endpoints.router,
        confidence_endpoints.router,
        heatmap_endpoints.router,
        inside_endpoints.router,
        dataset_endpoints.router,
        export_endpoints.router,
        examine_endpoints.router,
        examine_pages.router,
        source_endpoints.router,
        picture_endpoints.router,
        deletion_endpoints.router,
        health_endpoints.router,
        label_endpoints.router,
        look_endpoints.router,
        map_endpoints.router,
        ledger_endpoints.router,
        by_hand_endpoints.router,
        version_endpoints.router,
        upload_endpoints.router,
        upload_endpoints.tus,
        home_pages.router,
        dataset_pages.router,
        deletion_pages.router,
        health_pages.router,
        label_pages.router,
        source_pages.router,
        look_pages.router,
        map_pages.router,
        by_hand_pages.router,
        ledger_pages.router,
        version_pages.router,
        picture_pages.router,
        system_endpoints.router,
        training_endpoints.router,
        model_export_endpoints.router,
        report_pages.router,
        compare_endpoints.router,
        compare_pages.router,
        lr_finds_endpoints.router,
        lr_find_pages.router,
        runs_pages.router,
        train_pages.router,
        train_now_pages.router,
        retrain_pages.router,
        prediction_pages.router,
        confidence_pages.router,
        confusions_page.router,
        inside_pages.router,
        picture_page.router,
        system_pages.router,
    ):
        together.include_router(router)
    for _ in iter_route_contexts(together.routes):
        pass
    return together.routes


_NOT_COMPRESSED: Final = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "image/*")
"""Streams of events, pictures and models; session cookies are SameSite, so no other site can probe lengths of pages."""


class Tellapart(FastAPI):
    """FastAPI behind our own doors. What is outermost sees even the answers to bugs."""

    def __init__(self, services: Services) -> None:
        super().__init__(
            title="Tellapart",
            openapi_url="/api/v1/openapi.json",
            docs_url=None,
            redoc_url=None,
            lifespan=_sweeping,
            routes=list(_built_routes()),
        )
        self.state.services = services
        self.state.models = ModelCache()
        self.state.event_feed = EventFeed(services.database)

    def build_middleware_stack(self) -> ASGIApp:
        """From the outside in; each sees only what the ones before let through."""
        services = self.state.services
        settings, database = services.settings, services.database
        self.add_middleware(Repeats, database=database)
        self.add_middleware(BodyLimit)
        self.add_middleware(Gate, settings=settings, database=database)
        self.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6, exclude_content_types=_NOT_COMPRESSED)
        inner = super().build_middleware_stack()
        known = KnownHosts(RootPath(inner, settings), settings)
        return RequestLog(SecurityHeaders(known, settings))


@asynccontextmanager
async def _sweeping(app: FastAPI) -> AsyncIterator[None]:
    """Sweep the ledger while the server runs: where no worker is left, somebody must still say so. Recover uploads."""
    services, stop = app.state.services, threading.Event()
    storage = LocalStorage(services.settings.storage_folder)
    sweeper = Sweeper(services.database, services.notifier, free_bytes=storage.free_bytes)
    recovering = (services.open_unit(), services.storage, decoding_pool(), stop)
    threads = (
        threading.Thread(target=sweeper.run, args=(stop,), name="sweep", daemon=True),
        threading.Thread(target=keep_recovering, args=recovering, name="recover-uploads", daemon=True),
    )
    for thread in threads:
        thread.start()
    yield
    stop.set()
    LOOKS.end_all()
    for thread in threads:
        thread.join(timeout=2)
    app.state.event_feed.stop()


def _operation_id(route: APIRoute) -> str:
    return route.name
