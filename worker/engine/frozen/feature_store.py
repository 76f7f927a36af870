"""Output of frozen layers, kept on disk from run to run.

A group of answers is a folder, named by all that decides them but the image: layers,
preprocessing, view, runtime. In it lie shards, each written once, whole or not at all,
with its hash at its front. So any number of processes may read and write at a time, a
kill leaves nothing half written, and what is damaged is found and computed again.
Equal answers of two processes lie there twice until they are evicted: harmless.
"""

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from backend.domain.ids import Digest
from worker.engine.checkpoints.durable import replace_file

MAX_BYTES: Final = 4_000_000_000
"""On disk; what was used longest ago goes first."""

SHARD_BYTES: Final = 32_000_000
"""Written at once; at most so much is lost by a kill."""

KEEP_EVERY_S: Final = 20.0
"""At most so much work is lost by a kill: features are written as they come, not only at the end."""

_ABANDONED_S: Final = 3600.0

log = logging.getLogger(__name__)

Values = NDArray[Any]
"""The layers' output for one image; float32 or float16."""


class FeatureStore:
    """A folder of kept answers; None keeps nothing."""

    def __init__(
        self, folder: Path | None, *, max_bytes: int = MAX_BYTES, on_kept: Callable[[int], None] | None = None
    ) -> None:
        self._folder, self._max_bytes, self._on_kept = folder, max_bytes, on_kept

    def report(self, images: int) -> None:
        """Call ``on_kept`` with the number of images whose features have just been written."""
        if self._on_kept is not None:
            self._on_kept(images)

    def group(self, *identity: str) -> "Group":
        """The answers that all these decide, but for the image."""
        if self._folder is None:
            return Group(None, self)
        name = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:32]
        return Group(self._folder / f"answers-{name}", self)

    def evict(self) -> None:
        """Remove what was used longest ago until the rest fits."""
        if self._folder is None:
            return
        found = sorted(self._files(), key=lambda entry: entry[0], reverse=True)
        total = 0
        for _, size, path in found:
            total += size
            if total > self._max_bytes:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterable[tuple[float, int, Path]]:
        assert self._folder is not None
        for path in [*self._folder.glob("answers-*/*.shard"), *self._folder.glob("layers-*.onnx")]:
            try:
                facts = path.stat()
            except OSError:
                continue  # another process has evicted it
            yield facts.st_mtime, facts.st_size, path


class Group:
    """Kept answers that differ by image alone."""

    def __init__(self, folder: Path | None, store: FeatureStore) -> None:
        self._folder, self._store = folder, store
        self._waiting: dict[Digest, Values] = {}
        self._waiting_bytes = 0
        self._kept_at = time.monotonic()

    def known(self, wanted: Iterable[Digest]) -> dict[Digest, Values]:
        """The kept ones of these images' answers."""
        left, found = set(wanted), dict[Digest, Values]()
        for path in self._shards():
            if not left:
                break
            here = _read(path)
            if here is None:
                continue
            hits = left & here.keys()
            found.update({digest: here[digest] for digest in hits})
            left -= hits
            if hits:
                _touch(path)
        return found

    @property
    def name(self) -> str | None:
        """The group's folder in that of the store; None where nothing is kept."""
        return None if self._folder is None else self._folder.name

    def parts(self) -> Iterator[dict[Digest, Values]]:
        """All kept answers, a shard at a time: as much of them in memory as was written at once."""
        for path in self._shards():
            if part := _read(path):
                _touch(path)
                yield part

    def add(self, digest: Digest, values: Values) -> None:
        """Keep an image's answer, soon."""
        if self._folder is None:
            return
        self._waiting[digest] = values
        self._waiting_bytes += values.nbytes
        if self._waiting_bytes >= SHARD_BYTES or time.monotonic() - self._kept_at >= KEEP_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits; where the disk is full or not writable nothing is kept, which is only logged."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        self._kept_at = time.monotonic()
        if not waiting or self._folder is None:
            return
        try:
            _write(self._folder, waiting)
            self._store.evict()
        except OSError as error:
            log.warning("features are not kept: %s", error)
        else:
            self._store.report(len(waiting))

    def _shards(self) -> list[Path]:
        if self._folder is None:
            return []
        try:
            return sorted(self._folder.glob("*.shard"))
        except OSError:
            return []


def _write(folder: Path, values: Mapping[Digest, Values]) -> None:
    digests = np.frombuffer(bytes.fromhex("".join(values)), dtype=np.uint8).reshape(len(values), -1)
    body = safetensors.numpy.save({"digests": digests, "values": np.stack(list(values.values()))})
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{uuid4().hex}.shard", hashlib.sha256(body).digest(), body)
    for abandoned_in in (folder, folder.parent):
        _remove_abandoned(abandoned_in)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half written."""
    for partial in folder.glob("*.partial"):
        try:
            newest = (folder.stat().st_mtime, partial.stat().st_mtime)
            if newest[0] - newest[1] > _ABANDONED_S:
                partial.unlink()
        except OSError:
            continue


def _read(path: Path) -> dict[Digest, Values] | None:
    """A shard's answers by image; None, and it is gone, where it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[32:]).digest() == content[:32]:
        try:
            tensors = safetensors.numpy.load(content[32:])
            digests = [Digest(bytes(row).hex()) for row in tensors["digests"]]
            return dict(zip(digests, tensors["values"], strict=True))
        except (SafetensorError, KeyError, ValueError):
            pass
    log.warning("kept features are damaged and computed again: %s", path.name)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return None


def _touch(path: Path) -> None:
    # It may be evicted meanwhile, or not ours.
    with contextlib.suppress(OSError):
        os.utime(path)
