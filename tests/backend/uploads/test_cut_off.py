"""A real server behind a bad network, killed again and again while an archive arrives."""

import hashlib
import os
import random
import signal
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.upload_command.client import Client
from backend.upload_command.files import LocalFile
from backend.upload_command.resumable import send_resumable
from tests.fixtures.cutting_proxy import cutting_proxy
from tests.fixtures.serve_process import ServeProcess

pytestmark = pytest.mark.kill
SIZE = 6_000_000


@pytest.fixture
def server(tmp_path: Path, migrated_sqlite: Path) -> Iterator[ServeProcess]:
    """A server that does no jobs, so that what arrived stays as it is."""
    server = ServeProcess(tmp_path, "--no-worker", database=migrated_sqlite)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.end()


def _archive(folder: Path) -> LocalFile:
    file = folder / "pets.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/1.bmp", random.Random(1).randbytes(SIZE))
    return LocalFile(file, "pets.zip", file.stat().st_size)


def test_u01_u02_an_archive_survives_twenty_cuts_and_two_kills_of_the_server(
    server: ServeProcess, tmp_path: Path
) -> None:
    file = _archive(tmp_path)
    # Long enough for a part of the smallest size, now and then.
    generator = random.Random(2)
    cuts = [generator.randint(1_000, 900_000) for _ in range(20)]
    kills_at = [SIZE // 3, 2 * SIZE // 3]
    offsets: list[int] = []

    def kill_now_and_then(offset: int) -> None:
        offsets.append(offset)
        if kills_at and offset >= kills_at[0]:
            del kills_at[0]
            os.kill(server.pid_of("backend.serve"), signal.SIGKILL)

    key = (server.folder / "data" / "token").read_text().strip()
    with cutting_proxy(server.port, cuts) as proxy:
        # A tenth of the waiting is enough for a server next door.
        client = Client(f"http://127.0.0.1:{proxy.port}", key, sleep=lambda seconds: time.sleep(seconds / 10))
        dataset = client.json("POST", "/datasets", json={"name": "Pets"})["id"]
        done = send_resumable(client, dataset, file, "archive", kill_now_and_then)
        client.close()

    part = server.folder / "data" / "storage" / "uploads" / done["id"] / "part"
    assert (done["status"], done["offset"], kills_at) == ("complete", file.size, [])
    assert hashlib.sha256(part.read_bytes()).hexdigest() == file.sha256()
    assert offsets == sorted(offsets)
    assert proxy.was_cut >= 10
    with sqlite3.connect(server.folder / "data" / "tellapart.sqlite3") as database:
        assert database.execute("SELECT id FROM imports").fetchall() == [(done["import_id"],)]
    database.close()
