"""From where on a picture is odd: lists, filters and the health check use the same limits."""

from typing import Final

TINY_SIDE: Final = 32
"""Pixels of the shorter side, below which a picture is tiny."""
HUGE_PIXELS: Final = 50_000_000
ODD_ASPECT: Final = 5
"""Times that the longer side is as long as the shorter one, above which the shape is odd."""
DARK_LIGHT: Final = 0.32
"""99th percentile of brightness, below which a picture is dark (as cleanvision has it)."""
LIGHT_DARK: Final = 0.95
"""5th percentile of brightness, above which a picture is light (as cleanvision has it)."""
BLANK_ENTROPY: Final = 0.3
"""Bits of grey values, below which a picture shows nearly nothing.

cleanvision's 3 bits would be most of a set of scanned digits, and one bit all drawings of two colours.
"""
BLANK_CONTRAST: Final = 0.04
BLURRED_SHARPNESS: Final = 0.15
"""Steepest change as a share of the contrast, below which a picture is blurred.

Sharp photographs have 0.3 to 1.2, and below 0.13 when blurred by 0.8 % of their longer side.
"""
ENDINGS: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "MP3": (".mp3",),
    "OGG": (".ogg", ".oga", ".opus"),
}
"""Endings that a name may have, by the format of the file; names of other formats are not checked."""


def has_wrong_ending(path: str, format: str) -> bool:
    """Whether a name ends like that of a file of another format."""
    endings = ENDINGS.get(format.upper())
    return endings is not None and not path.lower().endswith(endings)
