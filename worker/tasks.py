"""Celery's tasks: one per kind of job, each a look at the ledger."""

from collections.abc import Callable
from typing import Any

from backend.ledger.doorbell import TASK_OF
from backend.ledger.job import JobKind
from worker.identity import Parts
from worker.supervisor import tick


def register(app: Any, parts: Callable[[], Parts]) -> None:  # Any: Celery comes without types
    """Teach ``app`` to answer rings."""

    def train() -> None:
        """Do the trainings that wait."""
        tick(parts(), JobKind.TRAIN)

    def bring_in() -> None:
        """Do the imports that wait."""
        tick(parts(), JobKind.IMPORT)

    app.task(name=TASK_OF[JobKind.TRAIN], ignore_result=True)(train)
    app.task(name=TASK_OF[JobKind.IMPORT], ignore_result=True)(bring_in)
