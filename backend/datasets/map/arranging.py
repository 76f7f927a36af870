"""Arrange maps by similarity: in a process of its own, one map at a time, behind everything else that the machine does.

A process, because only a process can be ended at once, comes after everything else for the machine, and gives its
memory back: 100,000 pictures take 0.7 GB. In a thread of the server, one answer in a hundred would also wait 20 ms.
"""

import multiprocessing
import os
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from backend.datasets.examine.embeddings import read_embeddings
from backend.datasets.map.positions import key_of, write_neighbours
from backend.domain.projection import neighbour_view

log = structlog.get_logger()

Standing = Literal["none", "waiting", "computing", "cancelled", "failed", "done"]
_BEHIND_ALL: Final = 10
_GONE: Final = 3
"""The exit code of a process whose features are others by now: nothing is wrong with that."""


@dataclass(slots=True)
class _Order:
    """One map that is to be arranged."""

    folder: Path
    dataset_id: str
    key: str
    share: Any  # Any: multiprocessing's shared number, whose type it doesn't name
    standing: Standing = "waiting"
    process: SpawnProcess | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Arrangements:
    """Maps that are being arranged, of this process."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._orders: dict[str, tuple[_Order, threading.Thread]] = {}

    def standing(self, dataset_id: str, key: str) -> tuple[Standing, float]:
        """How far the arrangement of a map is, and the share that is done, in 0 to 1."""
        with self._lock:
            known = self._orders.get(dataset_id)
        if known is None or known[0].key != key:
            return "none", 0.0
        return known[0].standing, float(known[0].share.value)

    def start(self, folder: Path, dataset_id: str, key: str) -> None:
        """Arrange a map unless that is under way; one of earlier pictures of the same dataset is given up.

        Args:
            folder: that of the features.
            key: which features are meant.
        """
        with self._lock:
            known = self._orders.get(dataset_id)
            if known is not None and known[0].standing in ("waiting", "computing"):
                if known[0].key == key:
                    return
                _end(known[0])
            order = _Order(folder, dataset_id, key, self._context.Value("d", 0.0))
            # As a daemon, so that a server that is stopped waits for no map.
            thread = threading.Thread(target=self._run, args=(order,), name="map", daemon=True)
            self._orders[dataset_id] = (order, thread)
            thread.start()

    def cancel(self, dataset_id: str) -> None:
        """End what is under way for a dataset; its map is only arranged when somebody asks for it again."""
        with self._lock:
            if (known := self._orders.get(dataset_id)) is not None:
                _end(known[0])

    def wait_for_all(self) -> None:
        """Wait for every map that is being arranged; for tests."""
        with self._lock:
            asked = [thread for _, thread in self._orders.values()]
        for thread in asked:
            thread.join()

    def _run(self, order: _Order) -> None:
        with self._turn:
            self._arrange(order)

    def _arrange(self, order: _Order) -> None:
        with order.lock:
            if order.standing != "waiting":
                return
            arguments = (order.folder, order.dataset_id, order.key, order.share, os.getpid())
            # As a daemon it ends with this process.
            order.process = self._context.Process(target=_arrange, args=arguments, name="map", daemon=True)
            order.process.start()
            order.standing = "computing"
        order.process.join()
        code = order.process.exitcode
        with order.lock:
            if order.standing != "computing":
                return
            order.standing = "done" if code == 0 else "none" if code == _GONE else "failed"
        if order.standing == "failed":
            log.warning("map_failed", dataset_id=order.dataset_id, exit_code=code)


def _end(order: _Order) -> None:
    with order.lock:
        if order.standing not in ("waiting", "computing"):
            return
        order.standing = "cancelled"
        if order.process is not None:
            order.process.kill()


def _arrange(folder: Path, dataset_id: str, key: str, share: Any, parent: int) -> None:  # Any: as in ``_Order``
    """What the process does."""
    os.nice(_BEHIND_ALL)
    embeddings = read_embeddings(folder, dataset_id)
    if embeddings is None or key_of(embeddings) != key:
        sys.exit(_GONE)

    def report(done: float) -> None:
        share.value = done
        if os.getppid() != parent:
            # Whoever asked for it was killed.
            sys.exit(_GONE)

    threads = max(1, (os.cpu_count() or 2) // 2)
    positions = neighbour_view(embeddings.values, threads=threads, on_progress=report)
    write_neighbours(folder, dataset_id, key, positions)


ARRANGEMENTS: Final = Arrangements()
"""Those of this process."""
