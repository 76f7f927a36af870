"""Celery's tasks: one per kind of job, each a look at the ledger."""

from collections.abc import Callable
from typing import Any

from backend.ledger.celery_notifier import TASK_OF
from backend.ledger.job import JobKind
from worker.identity import WorkerContext
from worker.supervisor import run_waiting_jobs


def register(app: Any, context: Callable[[], WorkerContext]) -> None:  # Any: Celery comes without types
    """Register the tasks of ``app``: each checks the ledger."""

    def train() -> None:
        """Do the trainings that wait, and look at new pictures."""
        run_waiting_jobs(context(), JobKind.TRAIN, goes_on=True)

    def import_pictures() -> None:
        """Do the imports that wait."""
        run_waiting_jobs(context(), JobKind.IMPORT)

    app.task(name=TASK_OF[JobKind.TRAIN], ignore_result=True)(train)
    app.task(name=TASK_OF[JobKind.IMPORT], ignore_result=True)(import_pictures)
