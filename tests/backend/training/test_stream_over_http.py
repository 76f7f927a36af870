"""Streams of a real server: they pass all that stands before them, and don't keep it from ending."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.accounts.tokens import ensure_owner_token
from backend.db.session import Database
from backend.settings import load
from tests.backend.training.scene import Scene
from tests.conftest import OWNER_TOKEN


@pytest.fixture
def server(tmp_path: Path, sqlite_url: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port, descriptor = listener.getsockname()[1], listener.fileno()
        environment = {
            **os.environ,
            "TELLAPART_DATA": str(tmp_path),
            "TELLAPART_TOKEN": OWNER_TOKEN,
            "TELLAPART_PORT": str(port),
            "DATABASE_URL": sqlite_url,
        }
        command = [sys.executable, "-m", "backend.serve", str(descriptor)]
        process = subprocess.Popen(command, env=environment, pass_fds=(descriptor,))
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {OWNER_TOKEN}"},
        timeout=30,
        trust_env=False,
    ) as client:
        yield client, process
    process.kill()
    process.wait()


def test_a_stream_begins_at_once_and_ends_with_the_server(
    server: tuple[httpx.Client, subprocess.Popen[bytes]], sqlite_url: str
) -> None:
    client, process = server
    run_id = _run_of_ana(sqlite_url)

    with client.stream("GET", f"/api/v1/events?run={run_id}") as answer:
        lines = answer.iter_lines()
        first = [next(lines) for _ in range(3)]
        asked_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        for _line in lines:
            pass
        process.wait(10)

    assert time.monotonic() - asked_at < 5
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    assert "event: snapshot" in first


def _run_of_ana(sqlite_url: str) -> str:
    database = Database(sqlite_url)
    ensure_owner_token(database, load(_env_file=None, token=OWNER_TOKEN))
    run_id = Scene(database).run()
    database.dispose()
    return run_id


def test_a_stream_needs_a_key(server: tuple[httpx.Client, subprocess.Popen[bytes]]) -> None:
    client, _process = server

    answer = client.get("/api/v1/events", headers={"Authorization": "Bearer nobody-s-key-0123456789"})

    assert answer.status_code == 401
