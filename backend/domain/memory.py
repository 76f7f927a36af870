"""How much memory a training needs at its peak, before it starts."""

from backend.domain.training import TrainingConfig


def memory_needed(config: TrainingConfig, device: str) -> int | None:
    """Bytes on the device."""
    return None
