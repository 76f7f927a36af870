import numpy as np
import pytest
from PIL import Image

from backend.imaging.decoding import decode
from backend.imaging.errors import UnreadableImage
from tests.backend.imaging.tiffs import tiff, with_page_below
from tests.fixtures.pictures import encode

BLACK, WHITE, GREY = (np.full((6, 8), value, dtype=np.uint8) for value in (0, 255, 100))


def refusal_of(content: bytes) -> tuple[str, str]:
    with pytest.raises(UnreadableImage) as refusal:
        decode(content)
    return refusal.value.reason_code, refusal.value.message


def test_of_several_pages_the_first_is_taken_and_the_others_are_said() -> None:
    facts, image = decode(tiff((GREY, {}), (BLACK, {}), (WHITE, {})))

    assert image.getpixel((0, 0)) == (100, 100, 100)
    assert [(note.code, note.message) for note in facts.notes] == [
        (
            "pages-left-out",
            "Only its first page is used; 2 other pages were left out. Save each page as a file of its own to use it.",
        )
    ]


def test_smaller_copies_and_masks_are_no_pages() -> None:
    facts, image = decode(tiff((BLACK[:2, :2], {254: 1}), (GREY, {254: 0}), (WHITE, {254: 4}), (WHITE[:2], {255: 2})))

    assert (facts.width, facts.height, facts.notes) == (8, 6, ())
    assert image.getpixel((0, 0)) == (100, 100, 100)


def test_the_main_picture_may_lie_below_a_thumbnail() -> None:
    below, at = with_page_below(b"", GREY, {254: 0})
    whole = with_page_below(below, BLACK[:2, :2], {254: 1, 330: at})
    file = whole[0][:4] + whole[1].to_bytes(4, "little") + whole[0][8:]

    facts, image = decode(file)

    assert (facts.width, facts.height) == (8, 6)
    assert image.getpixel((0, 0)) == (100, 100, 100)


@pytest.mark.parametrize(("maker", "name"), [(b"NIKON CORPORATION\0", "Nikon NEF"), (b"SONY\0", "Sony ARW")])
def test_a_cameras_raw_file_is_refused_as_what_it_is(maker: bytes, name: str) -> None:
    below, at = with_page_below(b"", np.zeros((6, 8), np.uint16), {254: 0, 262: 32803})
    whole = with_page_below(below, BLACK[:2, :2], {254: 1, 271: maker, 330: at})
    file = whole[0][:4] + whole[1].to_bytes(4, "little") + whole[0][8:]

    assert refusal_of(file) == (
        "image-camera-raw",
        f"it is a camera's raw file ({name}). Develop it into a JPEG or TIFF with the camera's program or one such as "
        "darktable, then add that. Only then do its colours and brightness mean something",
    )


def test_a_dng_is_refused_as_one() -> None:
    assert "(DNG)" in refusal_of(tiff((BLACK, {254: 1, 50706: b"\1\4\0\0"})))[1]


def test_a_chain_of_pages_that_bites_its_tail_ends() -> None:
    file = tiff((GREY, {}), (BLACK, {}))
    first = int.from_bytes(file[4:8], "little")

    facts, _ = decode(file[:-4] + first.to_bytes(4, "little"))

    assert [note.message for note in facts.notes] == [
        "Only its first page is used; 1 other page was left out. Save each page as a file of its own to use it."
    ]


def test_a_big_tiff_is_read() -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(BLACK)]
    content = encode(pages[0], "TIFF", big_tiff=True, save_all=True, append_images=pages[1:])

    facts, image = decode(content)

    assert image.getpixel((0, 0)) == (100, 100, 100)
    assert [note.code for note in facts.notes] == ["pages-left-out"]


def test_what_isnt_read_is_named_by_its_numbers() -> None:
    colours = np.zeros((6, 8, 3), np.float32)

    assert refusal_of(tiff((colours, {}))) == (
        "image-format-unknown",
        "it is a TIFF of 3 channels of 32-bit floating-point numbers, which isn't read here. "
        "Save it as an 8-bit or 16-bit TIFF or PNG",
    )


def test_a_rare_compression_is_named() -> None:
    assert refusal_of(tiff((GREY, {259: 34712}))) == (
        "image-format-unknown",
        "it is a TIFF compressed as JPEG 2000, which isn't read here. "
        "Save it as PNG, or as a TIFF with LZW or no compression",
    )


def test_a_tiff_without_pages_is_said_to_be_broken() -> None:
    assert refusal_of(b"II*\0\0\0\0\0")[1] == "it is a broken TIFF: nothing in it says where its picture is"
