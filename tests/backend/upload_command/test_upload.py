"""``tellapart upload`` against the application: what it sends, what it leaves out, and how it ends."""

from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from backend.settings import Settings
from backend.upload_command import command
from backend.upload_command.client import Client
from backend.upload_command.errors import KeyMissing, NoServer, NothingToSend, PlaceMissing, Refused
from backend.upload_command.files import LARGE, LocalFile, bundles, files_in
from tests.conftest import OWNER_TOKEN, settings_in
from tests.fixtures.archives import zipped
from tests.fixtures.pictures import draw, encode, folder_of_shapes


class ToTheApplication(httpx.BaseTransport):
    """Carries the command's requests to the application; the first of each path in ``cuts`` loses its answer."""

    def __init__(self, client: TestClient, *cuts: str) -> None:
        self._client, self._cuts = client, list(cuts)
        self.calls: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(f"{request.method} {request.url.path}")
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        answer = self._client.request(
            request.method, request.url.raw_path.decode(), content=request.read(), headers=headers
        )
        for cut in self._cuts:
            if request.url.path.endswith(cut):
                self._cuts.remove(cut)
                raise httpx.ReadError("cut")
        kept = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=kept, content=answer.content)

    def bundles_sent(self) -> int:
        return sum(call.startswith("POST") and call.endswith("/images") for call in self.calls)


@pytest.fixture(name="settings")
def _settings(sqlite_url: str, tmp_path: Path) -> Settings:
    """One kind of database is enough: the calls have tests of their own."""
    return settings_in(tmp_path, sqlite_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``shapes`` with six pictures, and what a system left there."""
    for path, content in folder_of_shapes(2, 16).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "shapes" / ".DS_Store").write_bytes(b"x")
    return tmp_path / "shapes"


@pytest.fixture
def uploading(client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> "Uploading":
    return Uploading(client, settings, monkeypatch)


def said_by(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the command printed, without the application's log."""
    return [line for line in capsys.readouterr().out.splitlines() if " [info " not in line]


class Uploading:
    """Runs the command, each time over a connection of its own."""

    def __init__(self, client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client, self._settings, self._monkeypatch = client, settings, monkeypatch

    def run(self, place: Path, *cuts: str, waits: bool = True) -> ToTheApplication:
        transport = ToTheApplication(self._client, *cuts)

        def connected(server: str, key: str, **options: object) -> Client:
            assert (server, key) == ("http://127.0.0.1:8000", OWNER_TOKEN)
            return Client(server, key, transport=transport, sleep=lambda _seconds: None)

        self._monkeypatch.setattr(command, "Client", connected)
        command.run_upload(self._settings, place, "Shapes", server=None, waits=waits)
        return transport

    def datasets(self) -> list[tuple[str, int]]:
        items = self._client.get("/api/v1/datasets").json()["items"]
        return [(dataset["name"], dataset["images"]) for dataset in items]


def test_u14_a_folder_that_is_sent_again_sends_only_what_is_missing_or_was_changed(
    uploading: Uploading, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = uploading.run(folder), uploading.run(folder)
    picture = folder / "circle" / "0.bmp"
    picture.write_bytes(encode(draw("circle", 1), "BMP"))
    uploading.run(folder)
    picture.write_bytes(encode(draw("cross", 2), "BMP"))  # of the same name and size

    changed = uploading.run(folder)

    assert [sent.bundles_sent() for sent in (first, second, changed)] == [1, 0, 1]
    assert uploading.datasets() == [("Shapes", 8)]
    said = said_by(capsys)
    assert said[0] == "6 files: 6 pictures added."
    assert said[1] == "6 files: 0 pictures added, 6 already there."
    assert said[3] == "7 files: 1 picture added, 6 already there."


def test_an_answer_that_is_lost_costs_no_second_sending(
    uploading: Uploading, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = uploading.run(folder, "/images")

    assert sent.bundles_sent() == 1
    assert said_by(capsys) == ["6 files: 0 pictures added, 6 already there."]


def test_an_archive_is_sent_once_however_often_the_command_is_repeated(
    uploading: Uploading, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(zipped(folder_of_shapes(2, 16)))

    sent, again = (uploading.run(archive, waits=False) for _ in range(2))

    assert said_by(capsys) == ["pets.zip has arrived; the server reads it now."] * 2
    assert [sum(call.startswith("PATCH") for call in run.calls) for run in (sent, again)] == [1, 0]


def test_a_picture_that_is_none_is_listed_and_the_others_arrive(
    uploading: Uploading, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")

    uploading.run(folder)

    said = said_by(capsys)
    assert said[0] == "7 files: 6 pictures added, 1 file left out."
    assert said[1].startswith("  shapes/broken.jpg: ")


def test_what_can_not_be_sent_is_said(uploading: Uploading, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(NothingToSend):
        uploading.run(tmp_path / "empty")
    with pytest.raises(PlaceMissing):
        uploading.run(tmp_path / "nowhere")


def test_a_wrong_key_is_refused_in_the_servers_words(client: TestClient) -> None:
    wrong = Client("http://127.0.0.1:8000", "x" * 43, transport=ToTheApplication(client))

    with pytest.raises(Refused) as refusal:
        wrong.json("GET", "/datasets")

    assert refusal.value.status == 401


def test_a_server_that_never_answers_is_not_waited_for() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with pytest.raises(NoServer) as error:
        Client("http://127.0.0.1:9", "x" * 43, transport=httpx.MockTransport(refuse)).json("GET", "/datasets")

    assert error.value.message == "There is no answer from http://127.0.0.1:9: Connection refused."


def test_large_files_travel_alone_and_small_ones_together() -> None:
    sizes = [1, 2, LARGE + 1, 3, *([10] * 64)]
    files = [LocalFile(Path("x"), str(number), size) for number, size in enumerate(sizes)]

    assert [len(bundle) for bundle in bundles(files)] == [2, 1, 64, 1]


def test_a_folder_is_read_in_order_and_names_begin_with_it(folder: Path) -> None:
    assert [file.path for file in files_in(folder)][:3] == [
        "shapes/circle/0.png",
        "shapes/circle/1.png",
        "shapes/cross/0.png",
    ]


def test_this_machines_own_key_is_never_sent_to_another_server(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")

    without = settings.model_copy(update={"token": None})

    with pytest.raises(KeyMissing) as refused:
        command.run_upload(without, tmp_path, "Shapes", server="https://tellapart.example.org")

    assert refused.value.message == "No key for https://tellapart.example.org is set."
