import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageChops

from backend.imaging.decoding import decode, decode_near
from backend.imaging.errors import UnreadableImage
from tests.fixtures.pictures import encode

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
PNG = encode(NOISE)


def with_chunk(name: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """The PNG with a further chunk behind its header."""
    crc = zlib.crc32(name + data) if checksum is None else checksum
    return PNG[:33] + struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc) + PNG[33:]


@pytest.mark.parametrize(
    "content",
    [
        with_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"node": 1}' * 4_000_000)),
        with_chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"a cat " * 5_000_000)),
        with_chunk(b"tEXt", b"Comment\0hello", checksum=1234),
        with_chunk(b"gAMA", b"\0"),
        with_chunk(b"pHYs", b"\0\0"),
        with_chunk(b"iCCP", b"no end of the name"),
        PNG[:-12],
    ],
    ids=[
        "much text",
        "much text of another kind",
        "wrong checksum",
        "short gamma",
        "short size",
        "no profile",
        "no end",
    ],
)
def test_flaws_beside_the_pixels_of_a_png_are_passed_over(content: bytes) -> None:
    assert ImageChops.difference(decode(content)[1], NOISE).getbbox() is None


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_nothing_but_its_end_is_taken(missing: int, progressive: bool) -> None:
    content = encode(NOISE, "JPEG", progressive=progressive)

    taken = decode(content[:-missing])[1]

    assert ImageChops.difference(taken, decode(content)[1]).getbbox() is None
    assert decode_near(content[:-missing], 16).size == (32, 32)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [12, 300])
def test_a_jpeg_that_lacks_pixels_is_refused(missing: int, progressive: bool) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode(encode(NOISE, "JPEG", progressive=progressive)[:-missing])

    assert refusal.value.reason_code == "image-truncated"


def test_damaged_pixels_of_a_png_are_refused() -> None:
    at = PNG.index(b"IDAT") + 40

    with pytest.raises(UnreadableImage) as refusal:
        decode(PNG[:at] + bytes(8) + PNG[at + 8 :])

    assert refusal.value.reason_code == "image-broken"
