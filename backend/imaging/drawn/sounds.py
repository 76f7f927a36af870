"""Sounds as pictures: WAV, FLAC, MP3 and Ogg, read by libsndfile, drawn as mel spectrograms."""

import io
from typing import Final

import numpy as np
import soundfile
from PIL import Image

from backend.imaging.drawn.canvas import INSIDE, coloured, framed
from backend.imaging.drawn.mel import SETTINGS, Samples, brightness, spectrogram
from backend.imaging.errors import UnreadableImage
from backend.imaging.facts import ImageFacts, Note

_RATES: Final = range(2_000, 400_001)
_MOST_CHANNELS: Final = 64
_BLOCK: Final = 1 << 16
"""Frames that are read at once."""
_SILENT: Final = 10 ** (SETTINGS.least_loud_db / 20)
_ID3_HEADER: Final = 10
_BITRATES: Final = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s of an MP3 frame by the number in its header, for MPEG 1 and for the half rates of MPEG 2 and 2.5."""


def format_of(content: bytes) -> str | None:
    """``WAV``, ``FLAC``, ``MP3`` or ``OGG``, by the first bytes; None where these are no sound."""
    if content[:4] in (b"RIFF", b"RIFX", b"RF64") and content[8:12] == b"WAVE":
        return "WAV"
    if content.startswith(b"fLaC"):
        return "FLAC"
    if content.startswith(b"OggS"):
        return "OGG"
    if content.startswith(b"ID3"):
        tag = sum((byte & 0x7F) << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=False))
        return "FLAC" if content[_ID3_HEADER + tag :][:4] == b"fLaC" else "MP3"
    return "MP3" if _begins_with_mp3_frames(content) else None


def draw(content: bytes, format: str) -> tuple[ImageFacts, Image.Image]:
    """Facts and picture of a sound: the first ten seconds, all channels mixed; time to the right, high notes above.

    Raises:
        UnreadableImage: it can't be read, or there is nothing in it.
    """
    samples, rate, channels, seconds = _read(content, format)
    span = SETTINGS.span_of(seconds)
    shares = brightness(spectrogram(samples, rate, span))[::-1]
    sized = Image.fromarray(np.ascontiguousarray(shares)).resize((INSIDE, INSIDE), Image.Resampling.BILINEAR)
    picture = framed(Image.fromarray(coloured(np.asarray(sized))))
    notes = (_drawn_note(rate, channels, seconds, span), *_remarks(samples, seconds, span))
    return ImageFacts(format, picture.width, picture.height, notes), picture


def _read(content: bytes, format: str) -> tuple[Samples, int, int, float]:
    """Samples of the first seconds; rate, number of channels and length in seconds of the whole."""
    longest = SETTINGS.spans_s[-1]
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, channels = file.samplerate, file.channels
            if rate not in _RATES or channels > _MOST_CHANNELS:
                raise UnreadableImage(
                    "sound-unsuitable",
                    f"it is a sound of {rate:,} samples a second in {channels:,} channels. Save it with 8,000 to "
                    "192,000 samples a second, in mono or stereo",
                )
            wanted = round(longest * rate)
            blocks: list[Samples] = []
            while wanted > 0 and len(block := file.read(min(_BLOCK, wanted), dtype="float32", always_2d=True)):
                blocks.append(block.mean(axis=1))
                wanted -= len(block)
            # Of a stream, the header doesn't say how long it is.
            frames = max(file.frames if file.frames < 1 << 62 else 0, sum(map(len, blocks)))
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise UnreadableImage("sound-broken", _reason(format)) from error
    if not blocks:
        raise UnreadableImage("sound-empty", "it is a sound file without any sound in it")
    samples = np.nan_to_num(np.concatenate(blocks), nan=0.0, posinf=1.0, neginf=-1.0)
    return samples, rate, channels, frames / rate


def _reason(format: str) -> str:
    if format == "OGG":
        return "it is an Ogg file without a sound that can be read. Save the sound as Ogg Vorbis, FLAC or WAV"
    return f"it is a damaged {format} file. Copy or download it once more, or save it as WAV"


def _drawn_note(rate: int, channels: int, seconds: float, span: float) -> Note:
    of_channels = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    message = (
        f"Drawn from a sound of {seconds:,.3g} s ({rate:,} Hz, {of_channels}) as a mel spectrogram: the width is "
        f"{span:g} s, the height {SETTINGS.bands} mel bands from {SETTINGS.low_hz:g} to {SETTINGS.high_hz:,.0f} Hz; "
        f"window {1000 * SETTINGS.window_s:g} ms, hop {1000 * SETTINGS.hop_s(span):.1f} ms, "
        f"{SETTINGS.range_db:g} dB below the loudest moment."
    )
    return Note("drawn-sound", message)


def _remarks(samples: Samples, seconds: float, span: float) -> list[Note]:
    found = []
    if not SETTINGS.holds(span, seconds):
        found.append(
            Note(
                "sound-cut",
                f"It lasts {_length(seconds)}: only the first {span:g} s are used. Cut long recordings into pieces.",
            )
        )
    if float(np.abs(samples).max()) < _SILENT:
        found.append(Note("sound-silent", "It is nearly silent, so there is hardly anything to see in its picture."))
    return found


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} minutes" if minutes else f"{seconds:.3g} s"


def _begins_with_mp3_frames(content: bytes) -> bool:
    """Whether there is an MP3 frame and another one right behind it, or the end: two bytes alone prove little."""
    length = _frame_length(content[:4])
    return length > 0 and (len(content) <= length or _frame_length(content[length : length + 4]) > 0)


def _frame_length(header: bytes) -> int:
    """Bytes of the MP3 frame (MPEG 1, 2 or 2.5, layer 3) that begins with this header; 0 where none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[1] & 0x18 == 0x08:
        return 0
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if bitrate in (0, 15) or rate == 3:
        return 0
    version = header[1] >> 3 & 3
    samples_a_second = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = 1000 * _BITRATES[version == 3][bitrate]
    return (144 if version == 3 else 72) * bits // samples_a_second + (header[2] >> 1 & 1)
