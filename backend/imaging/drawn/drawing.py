"""Which bytes are drawn instead of decoded."""

from PIL import Image

from backend.imaging.drawn import sounds, tracks
from backend.imaging.facts import ImageFacts


def is_drawn(content: bytes) -> bool:
    """Whether these bytes are a sound or a movement, by their first ones."""
    return sounds.format_of(content) is not None or tracks.is_track(content)


def drawn(content: bytes) -> tuple[ImageFacts, Image.Image] | None:
    """Facts and picture of a sound or a movement; None for everything else.

    Raises:
        UnreadableImage: it is one, and can't be read.
    """
    if (format := sounds.format_of(content)) is not None:
        return sounds.draw(content, format)
    return tracks.draw(content) if tracks.is_track(content) else None
