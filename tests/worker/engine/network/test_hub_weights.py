"""Weights of timm's networks from the model hub; here a server of this machine stands for it."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import torch

from backend.domain.architectures import Architecture, PretrainedWeights
from tests.fixtures.engine import Listener
from tests.fixtures.timm_networks import WITH_BATCH_NORM, drawn
from tests.worker.engine.network.test_weights import server
from worker.engine.errors import WeightsUnavailable
from worker.engine.network import weights
from worker.engine.order import NeverStop


class Hub(BaseHTTPRequestHandler):
    """Gives a file's hash and redirects to the file, as the hub does with large files."""

    content = b""
    etag = ""

    def do_HEAD(self) -> None:
        self.send_response(302 if self.path.endswith("/resolve/main/model.safetensors") else 404)
        self.send_header("X-Linked-Etag", f'"{self.etag}"')
        self.send_header("Location", "/stored")
        self.end_headers()

    def do_GET(self) -> None:
        if self.path != "/stored":
            self.do_HEAD()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the drawn weights."""
    folder = tmp_path_factory.mktemp("laid")
    drawn(WITH_BATCH_NORM, folder)
    return folder


@pytest.fixture
def entry(laid: Path) -> Architecture:
    return drawn(WITH_BATCH_NORM, laid)


@pytest.fixture
def hub(laid: Path, entry: Architecture) -> Iterator[tuple[str, type[Hub]]]:
    content = (laid / entry.weights[0].file_name).read_bytes()

    class Ours(Hub):
        pass

    Ours.content, Ours.etag = content, hashlib.sha256(content).hexdigest()
    with server(Ours) as url:
        yield url, Ours


def load(entry: Architecture, folder: Path, url: str | None = None) -> dict[str, torch.Tensor]:
    return dict(weights.load(entry, entry.weights[0], folder, on_event=Listener(), stop=NeverStop(), url_base=url))


def test_weights_come_from_the_hub_once_under_a_name_of_their_own(
    entry: Architecture, hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    fetched = load(entry, tmp_path, hub[0])
    again = load(entry, tmp_path, "http://127.0.0.1:9")

    assert [file.name for file in tmp_path.iterdir()] == ["test_efficientnet.r160_in1k.safetensors"]
    assert fetched.keys() == again.keys() >= {"conv_stem.weight", "classifier.weight"}


def test_what_has_another_hash_than_the_hub_gives_is_refused_and_leaves_nothing(
    entry: Architecture, hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    hub[1].etag = "0" * 64

    with pytest.raises(WeightsUnavailable) as refusal:
        load(entry, tmp_path, hub[0])

    assert "isn't the right file" in refusal.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_hub_does_not_have_is_reported(
    entry: Architecture, hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    gone = replace(entry, weights=(replace(entry.weights[0], hub_file="other.safetensors"),))

    with pytest.raises(WeightsUnavailable) as refusal:
        load(gone, tmp_path, hub[0])

    assert "404" in refusal.value.message
    assert "test_efficientnet.r160_in1k.safetensors" in refusal.value.advice


def test_without_a_network_the_name_to_copy_the_file_under_is_shown(entry: Architecture, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as refusal:
        load(entry, tmp_path, "http://127.0.0.1:9")

    assert "this machine doesn't reach the internet" in refusal.value.message
    assert f"Put the file test_efficientnet.r160_in1k.safetensors into the folder {tmp_path}" in refusal.value.advice


def test_a_file_laid_by_hand_needs_no_hub(entry: Architecture, laid: Path) -> None:
    assert "conv_stem.weight" in load(entry, laid, "http://127.0.0.1:9")


def test_a_truncated_file_is_not_used(entry: Architecture, laid: Path, tmp_path: Path) -> None:
    name = entry.weights[0].file_name
    (tmp_path / name).write_bytes((laid / name).read_bytes()[:-100])

    with pytest.raises(WeightsUnavailable) as refusal:
        load(entry, tmp_path)

    assert "damaged" in refusal.value.message


def test_a_file_of_pickled_code_is_not_read(entry: Architecture, tmp_path: Path) -> None:
    pickled = PretrainedWeights("r160_in1k", entry.weights[0].source, file_name="weights.pth")
    torch.save({"conv_stem.weight": shutil.rmtree}, tmp_path / "weights.pth")

    with pytest.raises(WeightsUnavailable):
        load(replace(entry, weights=(pickled,)), tmp_path)


def test_a_network_whose_weights_have_no_address_is_refused(entry: Architecture, tmp_path: Path) -> None:
    nowhere = replace(entry, weights=(PretrainedWeights("x", entry.weights[0].source, file_name="x.safetensors"),))

    with pytest.raises(WeightsUnavailable) as refusal:
        load(nowhere, tmp_path)

    assert "there is no address to download this file from" in refusal.value.message
