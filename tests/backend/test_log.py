"""The log: readable by machines, without secrets."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from backend import log


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, access = root.handlers[:], root.level, logging.getLogger("uvicorn.access")
    yield
    root.handlers[:], access.disabled = handlers, False
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_machines_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(as_json=True)

    structlog.get_logger().info("run_started", run="7")
    logging.getLogger("some.library").warning("as %s", "usual")

    first, second = lines(capsys)
    assert (first["event"], first["run"], first["level"]) == ("run_started", "7", "info")
    assert (second["event"], second["level"]) == ("as usual", "warning")


def test_secrets_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(as_json=True)

    structlog.get_logger().info("token_made", token="s3cret", key="s3cret", authorization="Bearer s3cret")

    assert "s3cret" not in json.dumps(lines(capsys))


def test_uvicorn_does_not_write_whole_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(as_json=True)

    logging.getLogger("uvicorn.access").info('"GET /sign-in?token=s3cret HTTP/1.1" 303')

    assert lines(capsys) == []


def test_a_bug_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(as_json=True)
    try:
        raise RuntimeError("why")
    except RuntimeError:
        structlog.get_logger().error("bug", bug_id="1", exc_info=sys.exc_info())
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=True)

    (told,) = lines(capsys)
    assert told["bug_id"] == "1"
    assert "RuntimeError" in json.dumps(told)
