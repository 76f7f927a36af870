import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from backend.datasets import ingest
from backend.datasets.imports import ImportStopped
from backend.datasets.sources import downloads
from backend.datasets.sources.opening import Elsewhere
from backend.db.session import WriteSession
from tests.backend.datasets.conftest import Ana
from tests.backend.datasets.sources.conftest import Importer
from tests.fixtures.archives import zipped
from tests.fixtures.pictures import draw, encode, folder_of_shapes
from tests.fixtures.web_server import WebServer, body, listening, redirect

PICTURE = encode(draw("circle", 1))


def test_addresses_with_a_label_become_pictures_in_a_folder_of_that_name(importer: Importer, server: WebServer) -> None:
    for number in range(1, 4):
        server.answers[f"/bear-{number}.png"] = body(encode(draw("circle", number)))
    server.answers["/photo"] = body(encode(draw("square", 1)), "image/png")
    urls = [f"{server.url}/bear-{number}.png?size=large" for number in range(1, 4)] + [f"{server.url}/photo"]

    asked = importer.ask(urls=urls, label="grizzly")
    done = importer.run(asked["id"])

    assert (asked["status"], asked["entries_total"]) == ("queued", 4)
    assert (done["added"], done["rejected"], done["entries"]) == (4, [], 4)
    assert importer.paths() == [
        "grizzly/0001-bear-1.png",
        "grizzly/0002-bear-2.png",
        "grizzly/0003-bear-3.png",
        "grizzly/0004-photo.png",
    ]


def test_what_does_not_come_is_listed_with_the_reason_and_spoils_nothing(importer: Importer, server: WebServer) -> None:
    server.answers |= {
        "/good.png": body(PICTURE),
        "/page": body(b"<!DOCTYPE html><html>", "text/html"),
        "/disguised.jpg": body(b"\n<html><body>Log in", "image/jpeg"),
        "/set.zip": body(zipped({"1.png": PICTURE}), "application/zip"),
        "/text.jpg": body(b"hello", "image/jpeg"),
        "/away": redirect("http://10.0.0.1/secret.png"),
    }
    names = ["good.png", "page", "disguised.jpg", "set.zip", "text.jpg", "away", "missing.png"]
    odd = ["ftp://example.org/a.png", "http://user:secret@example.org/.hidden/a.png"]

    done = importer.run(importer.ask(urls=[f"{server.url}/{name}" for name in names] + odd)["id"])

    assert done["added"] == 1
    assert {left["path"].removeprefix(server.url): (left["code"], left["message"]) for left in done["rejected"]} == {
        "/page": ("link-is-a-page", "That link answers with a web page, not with pictures."),
        "/disguised.jpg": ("link-is-a-page", "That link answers with a web page, not with pictures."),
        "/set.zip": (
            "link-is-an-archive",
            "That link leads to an archive; add it on its own, as an archive.",
        ),
        "links/0005-text.jpg": ("image-format-unknown", "It is a text, not a picture."),
        "/away": ("link-not-public", "No server called “10.0.0.1” can be reached on the public internet."),
        "/missing.png": ("link-nothing-there", "There is nothing at this address any more (404)."),
        "ftp://example.org/a.png": (
            "link-odd",
            "This isn't an address that can be used: it must begin with http:// or https://.",
        ),
        "links/0009": (
            "link-odd",
            "This isn't an address that can be used: it contains a user name or an @ before the path.",
        ),
    }


def test_s01_a_server_that_trusts_no_network_asks_nobody_here(importer: Importer) -> None:
    with listening() as (port, connections):
        import_id = importer.ask(urls=[f"http://127.0.0.1:{port}/{name}" for name in "ab"])["id"]
        error = importer.failure(import_id, Elsewhere())

        assert connections() == 0
    assert error is not None
    assert error.message == (
        "Nothing on this list can be used. The most common reason: "
        "No server called “127.0.0.1” can be reached on the public internet."
    )


def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    importer: Importer, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([body(b"", status=503), body(b"", status=429, Retry_After="0"), body(PICTURE)])
    server.answers["/a.png"] = lambda request: next(answers)(request)
    monkeypatch.setattr("backend.datasets.sources.links.FIRST_WAIT_S", 0.01)

    assert importer.run(importer.ask(urls=[f"{server.url}/a.png"])["id"])["added"] == 1


class _Died(Exception):
    pass


def test_after_a_kill_it_goes_on_behind_what_was_added(
    importer: Importer, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "BATCH_S", math.inf)  # however slow this machine is
    for number in range(70):
        server.answers[f"/{number}.png"] = body(encode(draw("circle", number)))
    asked = importer.ask(urls=[f"{server.url}/{number}.png" for number in range(70)], label="circle")
    transactions = iter(range(100))

    def dying(_session: WriteSession) -> None:
        if next(transactions) == 3:
            raise _Died

    with pytest.raises(_Died):
        importer.run(asked["id"], fence=dying)
    between = importer.ana.import_(asked["id"])
    server.asked.clear()
    done = importer.run(asked["id"])

    assert between["added"] == 64
    assert (done["added"], done["already_there"], done["entries"]) == (70, 0, 70)
    assert sorted(server.paths) == sorted(f"/{number}.png" for number in range(64, 70))


def test_a_cancel_does_not_wait_for_a_silent_server(importer: Importer, server: WebServer) -> None:
    asks: Iterator[int] = iter(range(1_000_000))

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/png")
        request.send_header("Connection", "close")
        request.end_headers()
        while True:
            request.wfile.write(b"\x89PNG" * 1000)

    server.answers["/endless.png"] = endless

    with pytest.raises(ImportStopped):
        importer.run(importer.ask(urls=[f"{server.url}/endless.png"])["id"], should_stop=lambda: next(asks) > 10)


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        ({"urls": []}, (422, "links-empty")),
        ({"urls": ["  "]}, (422, "links-empty")),
        ({"urls": ["https://example.org/1.jpg"], "label": "///"}, (422, "links-label-unusable")),
        ({"urls": ["https://example.org/1.jpg"], "label": ".."}, (422, "links-label-unusable")),
        ({"archive_url": "file:///etc/passwd"}, (422, "link-unusable")),
        ({"archive_url": "https://u:p@example.org/a.zip"}, (422, "link-unusable")),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(
    importer: Importer, source: dict[str, object], refusal: tuple[int, str]
) -> None:
    assert importer.refusal(**source) == refusal


def test_a_label_with_a_slash_stays_one_folder(importer: Importer, server: WebServer) -> None:
    server.answers["/a.png"] = body(PICTURE)

    importer.run(importer.ask(urls=[f"{server.url}/a.png"], label="../black/bear")["id"])

    assert importer.paths() == ["-black-bear/0001-a.png"]


# Files of addresses, one for each class


def test_a_text_file_of_addresses_is_fetched_with_its_name_as_the_label(ana: Ana, server: WebServer) -> None:
    importer = Importer(ana)
    for name in ("g1", "g2", "t1"):
        server.answers[f"/{name}.png"] = body(encode(draw("circle", ord(name[0]) + int(name[1]))))
    grizzly = f"{server.url}/g1.png\r\n\r\n{server.url}/g2.png\r\n".encode()

    found = ana.bring({"urls_grizzly.txt": grizzly, "bears/teddy.csv": f'"{server.url}/t1.png"\n'.encode()})
    for import_id in found["imports"]:
        importer.run(import_id)

    assert (found["added"], found["tables"], found["rejected"], len(found["imports"])) == (0, 0, [], 2)
    assert importer.paths() == ["grizzly/0001-g1.png", "grizzly/0002-g2.png", "teddy/0001-t1.png"]


def test_a_table_and_a_text_with_an_address_in_it_stay_what_they_are(ana: Ana) -> None:
    found = ana.bring(
        {
            "labels.csv": b"name,label\nhttps://example.org/a.png,cat\n",
            "readme.txt": b"See https://example.org/\nfor more.\n",
        }
    )

    assert (found["imports"], found["tables"]) == ([], 1)


# Archives


def test_an_archive_is_downloaded_and_read(importer: Importer, server: WebServer) -> None:
    server.answers["/pets.zip"] = body(zipped(folder_of_shapes(4, 16)), "application/zip")

    done = importer.run(importer.ask(archive_url=f"{server.url}/pets.zip")["id"])

    assert (done["added"], done["rejected"]) == (12, [])
    assert done["bytes_downloaded"] == len(zipped(folder_of_shapes(4, 16)))


def test_a_page_instead_of_an_archive_is_said_so(importer: Importer, server: WebServer) -> None:
    server.answers["/pets.zip"] = body(b"<!doctype html><title>Download</title>" + b" " * 600, "text/html")

    error = importer.failure(importer.ask(archive_url=f"{server.url}/pets.zip")["id"])

    assert error is not None
    assert (error.code, error.message) == (
        "link-is-a-page",
        "That link answers with a web page, not with pictures.",
    )


def test_what_is_no_archive_is_left_at_its_beginning(importer: Importer, server: WebServer) -> None:
    server.answers["/film.zip"] = body(b"\x00\x00\x00 ftypisom" + bytes(2_000_000), "application/zip")

    error = importer.failure(importer.ask(archive_url=f"{server.url}/film.zip")["id"])

    assert error is not None
    assert error.code == "archive-type-unknown"


def test_a_download_that_breaks_off_goes_on_where_it_was(importer: Importer, server: WebServer) -> None:
    archive = zipped(folder_of_shapes(20, 32))
    piece = len(archive) // 3 + 1
    sent: list[str] = []

    def breaking(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        sent.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("ETag", '"1"')
        request.send_header("Content-Length", str(len(archive) - start))
        request.send_header("Content-Range", f"bytes {start}-{len(archive) - 1}/{len(archive)}")
        request.end_headers()
        request.wfile.write(archive[start : start + piece])
        request.close_connection = start + piece < len(archive)

    server.answers["/pets.zip"] = breaking

    done = importer.run(importer.ask(archive_url=f"{server.url}/pets.zip")["id"])

    assert done["added"] == 60
    assert sent == ["", f"bytes={piece}-", f"bytes={2 * piece}-"]


def test_a_file_that_changed_meanwhile_is_begun_anew(importer: Importer, server: WebServer) -> None:
    old, new = zipped(folder_of_shapes(8, 32)), zipped(folder_of_shapes(4, 16))
    asked: list[str] = []

    def changing(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers.get("If-Range", ""))
        content, tag = (old, '"old"') if len(asked) == 1 else (new, '"new"')
        request.send_response(200)
        request.send_header("ETag", tag)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: 2_000 if len(asked) == 1 else None])
        request.close_connection = True

    server.answers["/pets.zip"] = changing

    assert importer.run(importer.ask(archive_url=f"{server.url}/pets.zip")["id"])["added"] == 12
    assert asked == ["", '"old"']


def test_a_download_in_many_parts_is_limited_as_a_whole(
    importer: Importer, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_BYTES", 10_000)
    begin = zipped(folder_of_shapes(20, 32))[:4_000]

    def endless(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("ETag", '"1"')
        request.send_header("Content-Length", "9000")
        request.send_header("Content-Range", f"bytes {start}-{start + 8999}/*")
        request.end_headers()
        request.wfile.write(begin)
        request.close_connection = True

    server.answers["/pets.zip"] = endless

    error = importer.failure(importer.ask(archive_url=f"{server.url}/pets.zip")["id"])

    assert error is not None
    assert "what is there is larger than" in error.message
    assert len(server.paths) == 3


def test_nothing_of_a_download_stays_once_its_import_has_ended(importer: Importer, server: WebServer) -> None:
    from backend.datasets.blobs import forget_archives
    from backend.tables.ledger import JobRow

    services = importer.ana.services
    server.answers["/cut.zip"] = body(zipped({"1.png": PICTURE})[:600], "application/zip", Content_Length="9999999")
    import_id = importer.ask(archive_url=f"{server.url}/cut.zip")["id"]
    error = importer.failure(import_id)
    with services.database.write() as session:
        session.query(JobRow).update({"state": "failed"})

    assert error is not None
    assert error.message == ("The archive couldn't be downloaded: the connection broke off before everything had come.")
    assert forget_archives(services.open_unit(), services.storage) == 1
    assert [file for file in services.settings.storage_folder.rglob("partial")] == []
