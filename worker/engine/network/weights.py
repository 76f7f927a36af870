"""Pretrained weights: from the weights folder, from a package, or downloaded on first use."""

import hashlib
import http.client
import os
import pickle
import re
import socket
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx
import torch
import torchvision
from safetensors import SafetensorError
from timm.models import load_state_dict

from backend.domain.architectures import Architecture, PretrainedWeights, WeightSource
from backend.domain.errors import is_disk_full
from backend.domain.events import OnEvent, Phase, PhaseProgress, PhaseStarted
from backend.weights import available_architectures, package_file
from worker.engine.errors import WeightsUnavailable
from worker.engine.network.architectures import Weights
from worker.engine.order import Stopped, StopSignal
from worker.engine.throttle import Throttle

_CHUNK_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 30
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def load(
    architecture: Architecture,
    weights: PretrainedWeights,
    folder: Path,
    *,
    on_event: OnEvent,
    stop: StopSignal,
    url_base: str | None = None,
) -> Weights:
    """Pretrained weights by the names of their origin, on the CPU.

    Raises:
        WeightsUnavailable: they are neither here nor can they be fetched.
        Stopped: while downloading.
    """
    match weights.source:
        case WeightSource.PACKAGE:
            file = package_file(weights.package)
            if file is None:
                raise _unavailable(architecture, weights, folder, f"the package {weights.package} isn't installed")
        case WeightSource.DOWNLOAD:
            file = folder / weights.file_name
            if not (file.is_file() and _hash(file).startswith(weights.sha256_prefix)):
                on_event(PhaseStarted(Phase.WEIGHTS, f"Downloading the pretrained weights of {architecture.title}"))
                _download(architecture, weights, url_base, folder, on_event, stop)
    try:
        return _read(architecture, file)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, SafetensorError) as error:
        raise _unavailable(architecture, weights, folder, f"{file.name} is damaged") from error


def _read(architecture: Architecture, file: Path) -> Weights:
    """Only tensors are read: a file of another origin can't run code."""
    if architecture.built_by:
        # timm's reader knows how training programs wrap weights; it unpickles nothing else either.
        found: Weights = load_state_dict(str(file), weights_only=True)
        return found
    content: Weights = torch.load(file, map_location="cpu", weights_only=True)
    return content


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a file comes from; ``sha256``: its hash or the first digits of it, empty where it isn't known."""

    url: str
    sha256: str


def _origin(architecture: Architecture, weights: PretrainedWeights, url_base: str | None) -> _Origin:
    if weights.hub_id:
        return _on_hub(weights, url_base)
    if url_base:
        return _Origin(f"{url_base.rstrip('/')}/{weights.file_name}", weights.sha256_prefix)
    if not architecture.built_by:
        url = str(torchvision.models.get_model_weights(architecture.name)[weights.name].url)
        return _Origin(url, weights.sha256_prefix)
    if not weights.url:
        raise ValueError("there is no address to download this file from")
    return _Origin(weights.url, weights.sha256_prefix)


def _on_hub(weights: PretrainedWeights, endpoint: str | None) -> _Origin:
    """From the hub, which gives a large file's SHA-256 before it redirects to the file itself."""
    from huggingface_hub import hf_hub_url

    repository, _, revision = weights.hub_id.partition("@")
    url = hf_hub_url(repository, weights.hub_file, revision=revision or None, endpoint=endpoint)
    answer = httpx.head(url, headers={"Accept-Encoding": "identity"}, timeout=_TIMEOUT_S)
    if answer.is_error:
        raise ValueError(f"the model hub answered {answer.status_code} {answer.reason_phrase}")
    etag = answer.headers.get("X-Linked-Etag", "").strip('"')
    return _Origin(url, etag if _SHA256.fullmatch(etag) else "")


def _download(
    architecture: Architecture,
    weights: PretrainedWeights,
    url_base: str | None,
    folder: Path,
    on_event: OnEvent,
    stop: StopSignal,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Written under another name and renamed: a broken download leaves nothing that looks like weights.
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{weights.file_name}.", suffix=".partial")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target:
            origin = _origin(architecture, weights, url_base)
            digest = _copy(origin.url, target, on_event, stop)
            target.flush()
            os.fsync(target.fileno())
        if not digest.startswith(origin.sha256):
            raise _unavailable(architecture, weights, folder, "what was downloaded isn't the right file or isn't whole")
        partial.replace(folder / weights.file_name)
    except (OSError, http.client.HTTPException, httpx.HTTPError, ValueError) as error:
        raise _unavailable(architecture, weights, folder, f"the download failed ({_reason(error)})") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(url: str, target: IO[bytes], on_event: OnEvent, stop: StopSignal) -> str:
    """Download into ``target`` and return the SHA-256 of what came."""
    digest = hashlib.sha256()
    done, pace = 0, Throttle()
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
        total = int(response.headers.get("Content-Length") or 0)
        while chunk := response.read(_CHUNK_BYTES):
            if stop.requested():
                raise Stopped
            target.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if pace.due() or done == total:
                on_event(PhaseProgress(Phase.WEIGHTS, done, max(done, total)))
    return digest.hexdigest()


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    match reason:
        case socket.gaierror() | ConnectionError() | httpx.ConnectError():
            return "this machine doesn't reach the internet, or not that server"
        case TimeoutError() | httpx.TimeoutException():
            return "no answer came in time"
        case OSError() if is_disk_full(reason):
            return "the disk is full"
        case _:
            return str(reason) or type(reason).__name__


def _unavailable(
    architecture: Architecture, weights: PretrainedWeights, folder: Path, reason: str
) -> WeightsUnavailable:
    others = [entry.name for entry in available_architectures(folder) if entry.name != architecture.name]
    return WeightsUnavailable(
        architecture.title, weights.file_name, str(folder), reason, others, package=weights.package
    )


def weights_named(architecture: Architecture, name: str) -> PretrainedWeights:
    """The catalogue's entry of that name; ``resolve`` has checked that there is one."""
    return next(weights for weights in architecture.weights if weights.name == name)
