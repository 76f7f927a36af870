"""Built files: found by name, kept for ever, sent compressed; pages are compressed too."""

import gzip
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backend import built_files
from backend.built_files import asset

CODE = "let one = 1;\n" * 200
GZIPPED = gzip.compress(CODE.encode())


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anonymous: TestClient) -> Path:
    """A folder as the build leaves it; no Node is needed. ``.br`` holds words, as only the browser unpacks it."""
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "frame-ABCD.js").write_text(CODE)
    (tmp_path / "js" / "frame-ABCD.js.gz").write_bytes(GZIPPED)
    (tmp_path / "js" / "frame-ABCD.js.br").write_text("brotli")
    (tmp_path / "plain.txt").write_text("1")
    (tmp_path / "manifest.json").write_text(json.dumps({"js/frame.js": "js/frame-ABCD.js"}))
    monkeypatch.setattr(built_files, "STATIC", tmp_path)
    files = anonymous.app.routes[-1].app  # type: ignore[attr-defined]
    monkeypatch.setattr(files, "directory", tmp_path)
    monkeypatch.setattr(files, "all_directories", [tmp_path])
    return tmp_path


def test_a_built_file_is_found_by_its_name(built: Path) -> None:
    assert asset("js/frame.js") == "js/frame-ABCD.js"


def test_pages_can_be_drawn_without_a_built_frontend(built: Path) -> None:
    (built / "manifest.json").unlink()

    assert asset("js/frame.js") == "js/frame.js"


def test_a_file_whose_name_shows_its_content_is_kept_for_ever(built: Path, anonymous: TestClient) -> None:
    kept = anonymous.get("/static/js/frame-ABCD.js").headers["cache-control"]
    asked_again = anonymous.get("/static/plain.txt").headers["cache-control"]

    assert kept == "public, max-age=31536000, immutable"
    assert asked_again == "public, max-age=3600"


@pytest.mark.parametrize(
    ("accepted", "encoding", "length"),
    [
        ("gzip, deflate, br", "br", 6),
        ("gzip", "gzip", len(GZIPPED)),
        ("identity", None, len(CODE)),
    ],
)
def test_a_built_file_travels_as_the_browser_can_unpack_it(
    built: Path, anonymous: TestClient, accepted: str, encoding: str | None, length: int
) -> None:
    answer = anonymous.head("/static/js/frame-ABCD.js", headers={"Accept-Encoding": accepted})

    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert int(answer.headers["content-length"]) == length


def test_a_compressed_file_that_the_browser_has_is_not_sent_again(built: Path, anonymous: TestClient) -> None:
    headers = {"Accept-Encoding": "gzip"}
    tag = anonymous.get("/static/js/frame-ABCD.js", headers=headers).headers["etag"]

    assert anonymous.get("/static/js/frame-ABCD.js", headers=headers | {"If-None-Match": tag}).status_code == 304


def test_pages_travel_compressed(client: TestClient) -> None:
    answer = client.get("/", headers={"Accept-Encoding": "gzip", "Accept": "text/html"})

    assert answer.headers["content-encoding"] == "gzip"
    assert "<h1>" in answer.text


def test_event_streams_are_not_held_back_by_compression(client: TestClient) -> None:
    with client.stream("GET", "/api/v1/events", headers={"Accept-Encoding": "gzip"}) as answer:
        assert "content-encoding" not in answer.headers
