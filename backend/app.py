"""Wiring only: settings in, application out."""

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

from backend import error_handlers
from backend.accounts import endpoints as accounts_endpoints
from backend.accounts import pages as accounts_pages
from backend.accounts.gate import Gate
from backend.accounts.repeats import Repeats
from backend.db.session import Database
from backend.dependencies import Services
from backend.jobs import Doorbell, SilentDoorbell
from backend.log import RequestLog
from backend.security import BodyLimit, KnownHosts, RootPath, SecurityHeaders
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.system import endpoints as system_endpoints
from backend.system import pages as system_pages
from backend.templating import BuiltFiles


def create_app(settings: Settings, *, doorbell: Doorbell | None = None) -> FastAPI:
    """The web application; the database must have been migrated."""
    services = Services(
        settings, Database(settings.sql_url), LocalStorage(settings.storage_folder), doorbell or SilentDoorbell()
    )
    app = Tellapart(services)
    error_handlers.install(app)
    for router in (
        accounts_endpoints.router,
        accounts_pages.router,
        system_endpoints.router,
        system_pages.router,
    ):
        app.include_router(router)
    app.mount("/static", BuiltFiles(), name="static")
    return app


class Tellapart(FastAPI):
    """FastAPI behind our own doors. What is outermost sees even the answers to bugs."""

    def __init__(self, services: Services) -> None:
        super().__init__(
            title="Tellapart",
            openapi_url="/api/v1/openapi.json",
            docs_url=None,
            redoc_url=None,
            root_path=services.settings.root_path,
            generate_unique_id_function=_operation_id,
            dependencies=[Depends(_in_openapi)],
        )
        self.state.services = services

    def build_middleware_stack(self) -> ASGIApp:
        """From the outside in; each sees only what the ones before let through."""
        services = self.state.services
        settings, database = services.settings, services.database
        self.add_middleware(Repeats, database=database)
        self.add_middleware(BodyLimit)
        self.add_middleware(Gate, settings=settings, database=database)
        inner = super().build_middleware_stack()
        known = KnownHosts(RootPath(inner, settings), settings)
        return RequestLog(SecurityHeaders(known, settings))


def _operation_id(route: APIRoute) -> str:
    return route.name


def _in_openapi(_: Annotated[object, Depends(HTTPBearer(auto_error=False, description="A token"))]) -> None:
    """Has the OpenAPI document say how to call; the gate is what decides."""
