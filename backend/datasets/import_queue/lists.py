"""Lists that an import works through one by one: fixed when it begins, so that it can go on at the same place."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice

from backend.domain.ids import Digest
from backend.domain.json import Json
from backend.storage.base import Storage

MOST: int = 1_000_000
_LINES_AT_ONCE = 1_000


def keep_list(storage: Storage, items: Iterable[Json]) -> tuple[Digest, int]:
    """Store a list, one JSON value a line; its digest and how many there are."""
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        iterator = iter(items)
        while batch := [json.dumps(item) for item in islice(iterator, _LINES_AT_ONCE)]:
            count += len(batch)
            yield ("\n".join(batch) + "\n").encode("ascii")

    digest, _ = storage.put_stream(lines())
    return digest, count


def kept_list(storage: Storage, digest: Digest, skip: int = 0) -> Iterator[tuple[int, Json]]:
    """The entries of a stored list after the first ``skip``, each with its number, from 1 on."""
    with storage.open_blob(digest) as file:
        for number, line in islice(enumerate(file, 1), skip, None):
            yield number, json.loads(line)
