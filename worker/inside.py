"""The process that looks inside a checkpoint: ``python -m worker.inside ORDER``.

It is started by the web process for a page that somebody is looking at, and ends with it. How far it is stands in
``progress.json`` beside its order, its result in ``inside.json``, why there is none in ``failure.json``.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from backend import log
from backend.domain.errors import AppError
from backend.domain.inside import FAILURE_FILE, PROGRESS_FILE, RESULT_FILE, Inside, InsideOrder
from backend.storage.local import LocalStorage, write_file

_BEHIND_ALL: Final = 10
_REFUSED: Final = 3
"""Exit code where ``failure.json`` says why."""
_WRITE_EVERY_S: Final = 0.5


def main(arguments: Sequence[str]) -> int:
    """Look inside; the exit code."""
    os.nice(_BEHIND_ALL)
    log.configure()
    order = TypeAdapter(InsideOrder).validate_json(Path(arguments[0]).read_bytes())

    # Here: seconds in which the page already shows that it has begun.
    import torch

    from worker.engine.inside.look import look_inside

    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    try:
        found = look_inside(
            order,
            LocalStorage(order.storage).read_blob,
            lambda name, content: write_file(order.folder / name, content),
            _Progress(order.folder),
        )
    except AppError as error:
        write_file(order.folder / FAILURE_FILE, json.dumps({"message": error.message, "advice": error.advice}).encode())
        return _REFUSED
    # Last: what is whole has a result.
    write_file(order.folder / RESULT_FILE, TypeAdapter(Inside).dump_json(found))
    return 0


class _Progress:
    """Writes how far it is, now and then."""

    def __init__(self, folder: Path) -> None:
        self._file, self._written_at = folder / PROGRESS_FILE, float("-inf")

    def __call__(self, done: int, total: int) -> None:
        if done < total and time.monotonic() - self._written_at < _WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        write_file(self._file, json.dumps({"done": done, "total": total}).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
