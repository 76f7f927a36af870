"""The log: readable by machines, without secrets."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from sqlalchemy import text
from starlette.testclient import TestClient

from backend import log
from backend.caller import secret_sha256
from backend.dependencies import Services
from backend.settings import Settings
from tests.conftest import OWNER_TOKEN, settings_in


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return settings_in(tmp_path, sqlite_url)


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


def test_a_bug_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(as_json=True)
    try:
        raise RuntimeError("why")
    except RuntimeError:
        structlog.get_logger().error("bug", bug_id="1", exc_info=sys.exc_info())
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=True)

    (reported,) = lines(capsys)
    assert reported["bug_id"] == "1"
    assert "RuntimeError" in json.dumps(reported)


def _fails(*_arguments: object) -> None:
    local = f"a local variable with {OWNER_TOKEN}"
    raise RuntimeError(f"this came along: {OWNER_TOKEN}, {len(local)}")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_bug_in_a_request_with_a_token_shows_no_secret_and_stays_small(
    app: FastAPI, client: TestClient, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    app.get("/api/v1/fails")(lambda: _fails())
    client.cookies.set("sid", "cookie-0123456789")
    log.configure(as_json=as_json)

    status = client.get("/api/v1/fails?token=query-0123456789").status_code

    written = capsys.readouterr().err
    assert status == 500
    assert "RuntimeError: this came along: (hidden), 50" in written
    assert not [secret for secret in (OWNER_TOKEN, "cookie-0123456789", "query-0123456789") if secret in written]
    assert "a local variable" not in written.replace('f"a local variable', "")
    assert len(written.encode()) < 10_000


@pytest.mark.parametrize("as_json", [True, False])
def test_a_bug_in_sign_in_does_not_show_the_key(
    anonymous: TestClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.setattr("backend.accounts.pages.sign_in", _fails)
    log.configure(as_json=as_json)

    status = anonymous.post("/sign-in", data={"key": OWNER_TOKEN}).status_code

    written = capsys.readouterr().err
    assert (status, OWNER_TOKEN in written) == (500, False)
    assert "RuntimeError" in written
    assert len(written.encode()) < 10_000


def test_sign_in_with_a_damaged_database_does_not_log_the_key_or_its_hash(
    anonymous: TestClient, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    with services.database.write() as session:
        session.execute(text("DROP TABLE sign_in_failures"))
    log.configure(as_json=True)

    anonymous.post("/sign-in", data={"key": OWNER_TOKEN})

    written = capsys.readouterr().err
    assert "sign_in_failures" in written
    assert (OWNER_TOKEN in written, secret_sha256(OWNER_TOKEN) in written) == (False, False)


def test_a_log_on_a_full_disk_does_not_end_the_work() -> None:
    script = """
import logging, structlog
from backend import log

log.configure()
for number in range(2000):
    structlog.get_logger().info("line", number=number)
logging.getLogger("some.library").warning("another")
print("done")
"""

    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=full, text=True)

    assert done.stdout == "done\n"
