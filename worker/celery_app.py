"""Celery receives notifications and has the ledger checked. It never imports torch.

``python -m worker`` starts it; ``celery -A worker.celery_app worker -Q train -c 1
--without-gossip --without-mingle`` does too, for those who watch processes by themselves.
"""

import functools
import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_shutting_down

from backend.ledger.celery_notifier import celery_settings
from backend.settings import Settings, SettingsError, load
from worker.hardware import new_identity
from worker.identity import WorkerContext, WorkerIdentity, open_context
from worker.tasks import register


def make_app(settings: Settings, identity: WorkerIdentity) -> Any:  # Any: Celery comes without types
    """The application that a worker's processes run."""
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL is not set, so there is no message broker to listen to. Run `python -m worker`.")
    app = Celery("tellapart", set_as_current=False)
    app.conf.update(celery_settings(settings.redis_url))

    @functools.cache
    def context_of(_process: int) -> WorkerContext:
        # Opened in the process that uses them: connections don't survive a fork.
        return open_context(identity, settings)

    register(app, lambda: context_of(os.getpid()))
    worker_shutting_down.connect(_draining(Path(identity.drain_flag)), weak=False)
    return app


def _draining(flag: Path) -> Any:  # Any: a receiver of Celery's
    def raise_flag(**_: object) -> None:
        # In a signal's handler: no log, no database. The supervisors look at the file once a second.
        flag.touch()

    return raise_flag


def __getattr__(name: str) -> Any:  # Any: the Celery application
    """``app``, made when Celery's own command asks for it and not when this module is imported."""
    if name != "app":
        raise AttributeError(name)
    settings = load()
    return globals().setdefault("app", make_app(settings, new_identity(settings)))
