"""Addresses of what is known of test pictures, below the application's root."""

from backend.datasets.urls import API
from backend.domain.ids import CheckpointId, ImageId, RunId


def heatmap_url(run_id: RunId, image_id: ImageId, checkpoint_id: CheckpointId) -> str:
    """The heat map of the predicted class; ``of`` and ``style`` may be added to it."""
    return f"{API}/runs/{run_id}/images/{image_id}/heatmap?checkpoint={checkpoint_id}"
