"""How uploaded bytes are sent."""

import asyncio
import io
import shutil

import numpy as np
import pytest
from PIL import Image
from starlette.requests import ClientDisconnect
from starlette.types import Message

from backend.datasets.serving import FileAnswer
from backend.domain.json import Json
from backend.storage.local import LocalStorage
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode


def test_a_file_is_closed_even_if_nobody_takes_its_first_piece() -> None:
    file = io.BytesIO(b"a picture")
    answer = FileAnswer(file, "image/png", {})

    async def gone(_message: Message) -> None:
        raise OSError("the browser has gone")

    async def listen() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        asyncio.run(answer(scope, listen, gone))

    assert file.closed


GREY = np.full((6, 8), 100, dtype=np.uint8)


def only_image(ana: Ana) -> Json:
    (image,) = ana.images()
    return image


def test_a_phones_jpeg_with_a_second_picture_is_sent_as_it_was_brought(ana: Ana) -> None:
    content = encode(draw("circle", 1), "MPO", save_all=True, append_images=[draw("cross", 1)])
    ana.bring({"DJI_0180.jpg": content})

    answer = ana.client.get(only_image(ana)["url"])

    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/jpeg", content)


@pytest.mark.parametrize(("format", "media_type"), [("TIFF", "image/tiff"), ("HEIF", "image/heic")])
def test_of_what_browsers_dont_show_a_copy_is_shown_and_the_original_is_a_download(
    ana: Ana, format: str, media_type: str
) -> None:
    content = encode(Image.new("RGB", (300, 200), (200, 60, 50)), format)
    ana.bring({"scans/form é.x": content})
    image = only_image(ana)

    shown = ana.client.get(image["url"])
    again = ana.client.get(image["url"])
    brought = ana.client.get(image["original_url"])

    copy = Image.open(io.BytesIO(shown.content))
    assert (shown.headers["content-type"], copy.format, copy.size) == ("image/jpeg", "JPEG", (300, 200))
    assert copy.getpixel((9, 9)) == pytest.approx((200, 60, 50), abs=4)
    assert again.content == shown.content
    assert (brought.headers["content-type"], brought.content) == (media_type, content)
    assert brought.headers["content-disposition"] == "attachment; filename*=UTF-8''form%20%C3%A9.x"


@pytest.mark.parametrize("address", ["url", "original_url", "thumbnail_url"])
def test_a_picture_whose_file_is_lost_is_said_to_be_missing(ana: Ana, storage: LocalStorage, address: str) -> None:
    ana.bring({"a.tif": encode(Image.fromarray(GREY), "TIFF")})
    for folder in ("blobs", "thumbnails"):
        shutil.rmtree(storage.root / folder)

    answer = ana.client.get(only_image(ana)[address])

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "image-file-missing"
    assert answer.json()["error"]["message"] == "The file of this picture isn't in the server's storage any more."


def test_a_lost_thumbnail_is_made_anew(ana: Ana, storage: LocalStorage) -> None:
    ana.bring({"a.png": encode(draw("circle", 1))})
    before = ana.client.get(only_image(ana)["thumbnail_url"]).content
    shutil.rmtree(storage.root / "thumbnails")

    assert ana.client.get(only_image(ana)["thumbnail_url"]).content == before


def test_pages_that_are_left_out_are_said_in_the_answer_the_list_and_on_the_page(ana: Ana) -> None:
    message = "Only its first page is used; 1 other page was left out. Save each page as a file of its own to use it."
    pages = [draw("circle", 1), draw("cross", 1)]
    form = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])

    answer = ana.bring({"form.tif": form, "plain.png": encode(pages[0])})

    assert answer["notes"] == [{"path": "form.tif", "code": "pages-left-out", "message": message}]
    assert {image["path"]: image["flags"] for image in ana.images()} == {
        "form.tif": ["pages_left_out"],
        "plain.png": [],
    }
    flagged = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?flag=pages_left_out").json()["items"]
    assert [image["path"] for image in flagged] == ["form.tif"]
    assert message in ana.client.get(f"/datasets/{ana.dataset_id}").text
