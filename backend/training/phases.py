"""What goes on outside the epochs, in words."""

from collections.abc import Mapping
from typing import Final

from backend.domain.events import Event, Phase, PhaseProgress, PhaseStarted, ValidationProgress

_PHASES: Final[Mapping[Phase, str]] = {
    Phase.DATA: "Reading images",
    Phase.FEATURES: "Computing features",
    Phase.ACTIVATIONS: "Computing features with the frozen layers",
    Phase.EVALUATION: "Evaluating",
}


def phase_in_words(event: Event) -> str | None:
    """``Reading images: 50 of 200 images``; None for an event that is of no phase."""
    match event:
        case PhaseStarted(text=text):
            return text
        case PhaseProgress(phase=Phase.WEIGHTS, done=done, total=total):
            return f"Downloading the pretrained weights: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        case PhaseProgress(phase=Phase.RATE, done=done, total=total):
            return f"Learning-rate finder: {done:,} of {total:,} steps"
        case PhaseProgress(phase=phase, done=done, total=total):
            return f"{_PHASES.get(phase, 'Working')}: {done:,} of {total:,} images"
        case ValidationProgress(done=done, total=total):
            return f"Evaluating: {done:,} of {total:,} images"
        case _:
            return None
