"""Wiring only: settings in, application out."""

from fastapi import FastAPI

from backend import error_handlers
from backend.db.session import Database
from backend.dependencies import Services
from backend.jobs import Doorbell, SilentDoorbell
from backend.settings import Settings
from backend.storage.local import LocalStorage


def create_app(settings: Settings, *, doorbell: Doorbell | None = None) -> FastAPI:
    """The web application; the database must have been migrated."""
    app = FastAPI(title="Tellapart", openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None)
    app.state.services = Services(
        settings, Database(settings.sql_url), LocalStorage(settings.storage_folder), doorbell or SilentDoorbell()
    )
    error_handlers.install(app)
    return app
