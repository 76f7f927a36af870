"""What goes on outside the epochs, in words."""

from collections.abc import Mapping
from typing import Final

from backend.domain.events import Event, PhaseProgress, PhaseStarted

_PHASES: Final[Mapping[str, str]] = {
    "data": "Reading the pictures",
    "features": "Showing the pictures to the frozen network",
    "activations": "Showing the pictures to the frozen layers",
    "evaluation": "Asking the model about test pictures",
}


def phase_in_words(event: Event) -> str | None:
    """``Reading the pictures: 50 of 200 images``; None for an event that is of no phase."""
    match event:
        case PhaseStarted(text=text):
            return text
        case PhaseProgress(phase="weights", done=done, total=total):
            return f"Fetching the pretrained weights: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        case PhaseProgress(phase="rate", done=done, total=total):
            return f"Looking for a learning rate: {done:,} of {total:,} steps"
        case PhaseProgress(phase=phase, done=done, total=total):
            return f"{_PHASES.get(phase, 'Working')}: {done:,} of {total:,} images"
        case _:
            return None
