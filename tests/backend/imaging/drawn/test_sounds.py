import io

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from backend.imaging.decoding import decode, decode_near
from backend.imaging.drawn.canvas import MARGIN, SIDE
from backend.imaging.drawn.mel import SETTINGS, spectrogram
from backend.imaging.drawn.sounds import format_of
from backend.imaging.errors import UnreadableImage
from backend.imaging.preprocessing import Preprocessing
from backend.imaging.tasks import network_view
from tests.fixtures.sounds import FORMATS, tone


def brightest(content: bytes) -> tuple[int, int]:
    """Row and column of the picture's brightest rows and columns."""
    grey = np.asarray(decode(content)[1].convert("L")).astype(int)
    return int(grey.sum(axis=1).argmax()), int(grey.sum(axis=0).argmax())


def columns_with_sound(content: bytes) -> NDArray[np.intp]:
    grey = np.asarray(decode(content)[1].convert("L"))
    found: NDArray[np.intp] = np.flatnonzero(grey.max(axis=0) > 100)
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_recognised_by_its_bytes_and_drawn_alike(format: str) -> None:
    facts, image = decode(tone(1_000, format=format))

    assert (facts.format, facts.width, facts.height) == (format, 512, 512)
    # 1,000 Hz lies at 955 of 50 to 3,176 mel: a third of the height from below.
    row, _ = brightest(tone(1_000, format=format))
    assert row == pytest.approx(480 - 448 * (1000 - 48) / (3176 - 48), abs=5)
    assert image.size == (SIDE, SIDE)


def test_higher_notes_lie_higher_and_time_goes_to_the_right() -> None:
    low, high = brightest(tone(300))[0], brightest(tone(3_000))[0]
    half = columns_with_sound(tone(300, 1.5))

    assert high < low
    # One and a half seconds of two.
    assert half[0] == pytest.approx(MARGIN, abs=8)
    assert half[-1] == pytest.approx(MARGIN + 448 * 0.75, abs=8)


def test_the_sample_rate_changes_nothing() -> None:
    slow, quick = (np.asarray(decode(tone(1_000, rate=rate))[1]).astype(int) for rate in (16_000, 44_100))

    # Above 8,000 Hz only the second one can have anything.
    assert np.abs(slow - quick).mean() < 4


def test_a_sine_at_full_scale_has_no_decibels() -> None:
    samples = np.sin(2 * np.pi * 1_000 * np.arange(22_050) / 22_050).astype(np.float32)

    decibels = spectrogram(samples, 22_050, 1.0)

    assert decibels.shape == (128, 448)
    assert decibels.max() == pytest.approx(1.5, abs=2)  # a band holds several bins of the peak


@pytest.mark.parametrize(
    ("seconds", "span"), [(0.3, 1.0), (1.0, 1.0), (1.01, 1.0), (1.5, 2.0), (4.0, 4.0), (5.5, 10.0), (600.0, 10.0)]
)
def test_the_width_is_the_shortest_span_that_holds_the_sound(seconds: float, span: float) -> None:
    assert SETTINGS.span_of(seconds) == span


def test_of_a_long_recording_the_beginning_is_used_and_that_is_noted() -> None:
    notes = decode(tone(440, 75, rate=8_000))[0].notes

    assert [note.code for note in notes] == ["drawn-sound", "sound-cut"]
    assert notes[0].message.startswith(
        "Drawn from a sound of 75 s (8,000 Hz, mono) as a mel spectrogram: the width is 10 s"
    )
    assert notes[1].message == ("It lasts 1:15 minutes: only the first 10 s are used. Cut long recordings into pieces.")


def test_silence_is_not_made_loud() -> None:
    facts, image = decode(tone(440, level=1e-4, format="FLAC"))

    assert "sound-silent" in [note.code for note in facts.notes]
    assert np.asarray(image.convert("L")).max() < 220


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (tone(440)[:20], "sound-broken"),
        (tone(440, 0.0), "sound-empty"),
        (b"OggS" + bytes(200), "sound-broken"),
        (b"ID3\x04\0\0\0\0\0\0" + bytes(200), "sound-broken"),
    ],
)
def test_a_damaged_or_empty_sound_is_refused_with_a_reason(content: bytes, code: str) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode(content)

    assert refusal.value.reason_code == code


def test_other_files_are_no_sounds() -> None:
    assert format_of(b"\xff\xfe,\0") is None  # a table in UTF-16
    assert format_of(b"\xff\xd8\xff\xe0") is None  # a JPEG
    assert format_of(b"RIFF\0\0\0\0WEBP") is None
    assert format_of(b"") is None


def test_stereo_and_24_bits_are_read() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.full((8_000, 2), 0.1), 8_000, format="WAV", subtype="PCM_24")

    assert "(8,000 Hz, stereo)" in decode(file.getvalue())[0].notes[0].message


def test_thumbnail_preview_and_prediction_see_the_same_drawing() -> None:
    content = tone(700)
    steps = Preprocessing(448, 512, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    seen = network_view(content, steps)

    whole = np.asarray(decode(content)[1])
    assert np.array_equal(np.asarray(decode_near(content, 512)), whole)
    # The usual cut in the middle takes the whole drawing and nothing of its margin.
    assert np.array_equal(seen, whole[MARGIN:-MARGIN, MARGIN:-MARGIN])
