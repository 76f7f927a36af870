"""What every page of a dataset shows."""

from typing import Any

from sqlalchemy.orm import Session

from backend.datasets.repository import DatasetRepository
from backend.domain.ids import DatasetId
from backend.journey.steps import StepName, steps_of


def dataset_context(session: Session, dataset_id: str, step: StepName) -> dict[str, Any]:  # Any: the template's context
    """The dataset and the six steps, for a template. Raises DatasetNotFound."""
    return {
        "dataset": DatasetRepository(session).get(dataset_id),
        "steps": steps_of(session, DatasetId(dataset_id), step),
        "here": step.name.capitalize(),
    }
