"""Mel spectrograms, in numpy.

Source: the mel scale of O'Shaughnessy (2595 log10(1 + f / 700)) with triangular filters, as HTK and librosa
(``htk=True``, ``norm=None``) have them. Windows are given in seconds and bands in Hz, so recordings of every sample
rate are drawn alike and none is resampled.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.json import Json

Samples = NDArray[np.float32]
"""(T,) in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class MelSettings:
    """How sounds are drawn; travels with every checkpoint.

    Attributes:
        spans_s: lengths that the picture's width may stand for: the shortest that holds the sound.
        spare: share by which a sound may be longer than its span; the rest is left out without a word.
        window_s: length of the Hann window.
        columns: windows along the width.
        bands: mel bands along the height.
        low_hz, high_hz: where the lowest band begins and the highest ends.
        range_db: decibels from black to the loudest moment.
        least_loud_db: a sound that is quieter than this below full scale isn't brightened beyond it.
    """

    spans_s: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0)
    spare: float = 0.02
    window_s: float = 0.04
    columns: int = 448
    bands: int = 128
    low_hz: float = 30.0
    high_hz: float = 11_000.0
    range_db: float = 80.0
    least_loud_db: float = -60.0

    def span_of(self, seconds: float) -> float:
        """What the width stands for in the picture of a sound of this length."""
        return next((span for span in self.spans_s if self.holds(span, seconds)), self.spans_s[-1])

    def holds(self, span: float, seconds: float) -> bool:
        """Whether a sound of this length is drawn whole in that span."""
        return seconds <= span * (1 + self.spare)

    def hop_s(self, span: float) -> float:
        """Seconds from one window to the next."""
        return span / self.columns

    def to_json(self) -> dict[str, Json]:
        """As written into checkpoints."""
        return {**asdict(self), "spans_s": list(self.spans_s), "window": "Hann", "mel_scale": "HTK", "channels": "mean"}


SETTINGS: Final = MelSettings()
_AT_ONCE: Final = 64
"""Windows that are transformed together, so that memory stays small at high sample rates."""


def spectrogram(samples: Samples, rate: int, span: float, settings: MelSettings = SETTINGS) -> NDArray[np.float32]:
    """(bands, columns): decibels below full scale in each band at each moment; low frequencies first.

    Column i is the window around second (i + 0.5) / columns of the span; beyond the ends there is silence.
    """
    length = max(16, round(settings.window_s * rate))
    size = 1 << (2 * length - 1).bit_length()
    window = np.hanning(length + 1)[:length].astype(np.float32)
    starts = np.round((np.arange(settings.columns) + 0.5) * settings.hop_s(span) * rate).astype(int)
    padded = np.zeros(max(int(starts[-1]) + length, len(samples) + length), dtype=np.float32)
    padded[length // 2 : length // 2 + len(samples)] = samples
    filters = _filters(rate, size, settings)
    # A sine at full scale has power 1.
    scale = np.float32(2 / window.sum())
    power = [
        np.abs(np.fft.rfft(padded[some[:, None] + np.arange(length)] * window, size)[:, : filters.shape[1]] * scale)
        ** 2
        @ filters.T
        for some in np.split(starts, range(_AT_ONCE, len(starts), _AT_ONCE))
    ]
    return (10 * np.log10(np.maximum(np.concatenate(power).T, 1e-12))).astype(np.float32)


def brightness(decibels: NDArray[np.float32], settings: MelSettings = SETTINGS) -> NDArray[np.float32]:
    """The same in [0, 1]: 1 is the loudest moment, 0 is ``range_db`` below it and less."""
    top = max(float(decibels.max()), settings.least_loud_db)
    shares: NDArray[np.float32] = np.clip((decibels - top) / settings.range_db + 1, 0, 1).astype(np.float32)
    return shares


@lru_cache(maxsize=8)
def _filters(rate: int, size: int, settings: MelSettings) -> NDArray[np.float32]:
    """(bands, bins): triangles with a peak of 1, equally wide on the mel scale; bins above ``high_hz`` are left out."""
    bins = min(size // 2, int(settings.high_hz * size / rate)) + 1
    frequencies = np.arange(bins) * rate / size
    edges = _hz(np.linspace(_mel(settings.low_hz), _mel(settings.high_hz), settings.bands + 2))
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (peak - low), (high - frequencies) / (high - peak)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    converted: NDArray[np.float64] = 700 * (10 ** (mel / 2595) - 1)
    return converted
