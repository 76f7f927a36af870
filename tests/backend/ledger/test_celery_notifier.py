import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from backend.embedded import EmbeddedValkey, find_valkey
from backend.ledger.celery_notifier import CeleryNotifier, broker_url, celery_settings, notifier_of
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import NoNotifier


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    found = find_valkey(tmp_path)
    assert found is not None
    process = subprocess.Popen(found.command, stdout=subprocess.DEVNULL)
    while not found.socket.exists():
        time.sleep(0.01)
    yield found
    process.terminate()
    process.wait()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("redis://:pw@redis:6379/0", "redis://:pw@redis:6379/0"),
        ("rediss://redis:6380/1", "rediss://redis:6380/1"),
        ("unix:///data/run/valkey.sock", "redis+socket:///data/run/valkey.sock"),
    ],
)
def test_it_calls_the_address_as_kombu_does(given: str, expected: str) -> None:
    assert broker_url(given) == expected


def test_a_notification_waits_in_the_queue_of_its_kind(valkey: EmbeddedValkey) -> None:
    notifier = CeleryNotifier(valkey.url)

    notifier.notify(JobKind.TRAIN)
    notifier.notify(JobKind.IMPORT)
    notifier.notify(JobKind.IMPORT)

    with redis.Redis.from_url(valkey.url) as client:
        assert (client.llen("tellapart:train"), client.llen("tellapart:light")) == (1, 2)


def test_a_notification_carries_no_job(valkey: EmbeddedValkey) -> None:
    CeleryNotifier(valkey.url).notify(JobKind.TRAIN)

    with redis.Redis.from_url(valkey.url) as client:
        (message,) = client.lrange("tellapart:train", 0, -1)
    assert b'"tellapart.train"' in message
    assert b'"argsrepr": "()"' in message


def test_a_broker_that_is_away_neither_raises_nor_keeps_anybody_waiting() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        notifier = CeleryNotifier(f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
    started = time.monotonic()

    for _notification in range(20):
        notifier.notify(JobKind.TRAIN)

    assert time.monotonic() - started < 4


def test_it_notifies_again_once_the_broker_is_back(valkey: EmbeddedValkey) -> None:
    now = 100.0
    notifier = CeleryNotifier(f"{valkey.url}x", monotonic=lambda: now)
    notifier.notify(JobKind.TRAIN)
    back = CeleryNotifier(valkey.url, monotonic=lambda: now)

    back.notify(JobKind.TRAIN)

    with redis.Redis.from_url(valkey.url) as client:
        assert client.llen("tellapart:train") == 1


def test_without_an_address_there_is_no_broker() -> None:
    assert isinstance(notifier_of(None), NoNotifier)


def test_celery_is_asked_that_the_ledger_does_the_recovery() -> None:
    settings = celery_settings("redis://redis/0")

    assert settings["task_acks_late"] is False
    assert settings["result_backend"] is None
    assert settings["accept_content"] == ["json"]
    assert settings["worker_disable_prefetch"] is True
