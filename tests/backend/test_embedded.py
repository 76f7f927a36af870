"""The embedded Valkey: there without a server to install, ours alone, and gone with us."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotConnected

from backend.children import Child, end_all
from backend.embedded import EmbeddedValkey, find_valkey
from tests.fixtures.processes import wait_until


@pytest.fixture
def valkey(tmp_path: Path) -> EmbeddedValkey:
    found = find_valkey(tmp_path / "run")
    if found is None:
        pytest.skip("no wheel of Valkey fits this machine")
    return found


@pytest.fixture
def running(valkey: EmbeddedValkey) -> Iterator[EmbeddedValkey]:
    child = Child("Valkey", valkey.command, os.environ)
    child.start()
    wait_until(valkey.socket.exists, "Valkey listens", seconds=10)
    yield valkey
    end_all([child], grace_s=5, hurry=lambda: False)


def test_it_answers_on_a_socket_that_only_we_can_open(running: EmbeddedValkey) -> None:
    with Redis.from_url(running.url) as redis:
        assert redis.ping()

    assert stat.S_IMODE(running.socket.parent.stat().st_mode) == 0o700


def test_it_listens_on_no_port_and_keeps_nothing(running: EmbeddedValkey) -> None:
    with Redis.from_url(running.url, decode_responses=True) as redis:
        reported = redis.config_get("port", "appendonly", "save")

    assert reported == {"port": "0", "appendonly": "no", "save": ""}


def test_a_successor_takes_the_same_place(valkey: EmbeddedValkey) -> None:
    first = Child("Valkey", valkey.command, os.environ)
    first.start()
    wait_until(valkey.socket.exists, "Valkey listens", seconds=10)
    first.kill()

    second = Child("Valkey", valkey.command, os.environ)
    second.start()

    wait_until(lambda: _answers(valkey), "the second answers at the same address", seconds=10)
    end_all([second], grace_s=5, hurry=lambda: False)


def _answers(valkey: EmbeddedValkey) -> bool:
    try:
        with Redis.from_url(valkey.url) as redis:
            return bool(redis.ping())
    except NotConnected:
        return False


@pytest.mark.parametrize("name", ["a" * 120, "with space", "grüße"])
def test_a_folder_whose_name_is_no_good_for_a_socket_does_not_stop_it(tmp_path: Path, name: str) -> None:
    found = find_valkey(tmp_path / name)
    if found is None:
        pytest.skip("no wheel of Valkey fits this machine")

    assert len(str(found.socket)) <= 100
    assert found.socket.parent != tmp_path / name
    assert stat.S_IMODE(found.socket.parent.stat().st_mode) == 0o700
    found.socket.parent.rmdir()
