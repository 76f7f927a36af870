"""The command line: what it answers, and that a mistake ends in a sentence."""

import re
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from backend import migrations
from backend.accounts.tokens import authenticate, ensure_owner_token, is_owner_key, token_file
from backend.db.base import utc_now
from backend.db.session import Database
from backend.settings import Settings, load
from backend.tables.accounts import TokenRow
from tests.fixtures.processes import environment_without_ours

NEWEST = migrations.newest()
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tellapart(tmp_path: Path) -> Run:
    """Run the command in an empty folder with nothing configured but what is given."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "backend.cli", *words],
            env=environment_without_ours() | {"COLUMNS": "120"} | settings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_its_help_names_every_command(tellapart: Run) -> None:
    reported = tellapart("--help").stdout

    assert [
        name for name in ("serve", "worker", "migrate", "token", "link", "demo") if f" {name} " not in reported
    ] == []


def test_migrate_makes_the_database_and_reports_it(tellapart: Run, tmp_path: Path) -> None:
    first, second = tellapart("migrate"), tellapart("migrate")

    assert first.stdout == f"The database has schema {NEWEST}.\n"
    assert second.stdout == f"The database has schema {NEWEST}, before {NEWEST}.\n"
    assert (tmp_path / "data" / "tellapart.sqlite3").is_file()


@pytest.fixture
def started(tellapart: Run, tmp_path: Path) -> Settings:
    """What the first start of a server leaves behind: a database, and the owner's key in a file."""
    tellapart("migrate")
    settings = load(_env_file=None, data=tmp_path / "data")
    database = Database(settings.sql_url)
    ensure_owner_token(database, settings)
    database.dispose()
    return settings


def test_token_prints_the_owners_key(tellapart: Run, started: Settings) -> None:
    key = token_file(started).read_text()

    assert [tellapart("token").stdout for _ in range(2)] == [key, key]


def test_token_of_a_shell_with_another_key_takes_nothing_away(tellapart: Run, started: Settings) -> None:
    ended = tellapart("token", TELLAPART_TOKEN="a-key-of-another-server")

    key = token_file(started).read_text().strip()
    database = Database(started.sql_url)
    assert is_owner_key(database, key)
    database.dispose()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("The key that is set here isn't the one that the server was started with.")


def test_token_only_reads(tellapart: Run, tmp_path: Path) -> None:
    without_a_server = tellapart("token")
    with_a_key = tellapart("token", TELLAPART_TOKEN="a-long-enough-secret")

    assert without_a_server.returncode == 2
    assert without_a_server.stderr.startswith(f"There is no key in {tmp_path / 'data' / 'token'}.")
    assert with_a_key.stdout == "a-long-enough-secret\n"
    assert list(tmp_path.iterdir()) == []


def test_token_does_not_migrate(tellapart: Run, started: Settings) -> None:
    migrations.downgrade(started.sql_url, "0002")

    printed = tellapart("token").stdout
    refused = tellapart("token", "--new", "farm")

    assert printed == token_file(started).read_text()
    assert refused.stderr.startswith(f"This database has schema 0002; this version needs {NEWEST}.")
    assert migrations.current(started.sql_url) == "0002"


@pytest.mark.parametrize("words", [("link",), ("token", "--link")])
def test_a_link_has_no_key_in_it(tellapart: Run, started: Settings, words: tuple[str, ...]) -> None:
    printed = tellapart(*words, TELLAPART_PORT="9000").stdout

    assert re.fullmatch(r"http://127\.0\.0\.1:9000/sign-in\?token=[\w-]{43}\n", printed)
    assert token_file(started).read_text().strip() not in printed


@pytest.mark.usefixtures("started")
def test_behind_a_proxy_it_is_the_address_that_people_use(tellapart: Run) -> None:
    printed = tellapart("link", TELLAPART_BASE_URL="https://host/tell/").stdout

    assert printed.startswith("https://host/tell/sign-in?token=")


def test_token_makes_another_key_for_a_program(tellapart: Run, started: Settings) -> None:
    first = tellapart("token", "--new", "farm").stdout.strip()
    second = tellapart("token", "--new", "kiosk", "--scope", "predict", "--days", "7").stdout.strip()

    database = Database(started.sql_url)
    callers = [authenticate(database, key) for key in (first, second)]
    with database.read() as session:
        lifetimes = [row.expires_at - utc_now() for row in session.query(TokenRow) if row.expires_at]
    database.dispose()
    assert [caller and caller.scope for caller in callers] == ["write", "predict"]
    (lifetime,) = lifetimes
    assert timedelta(days=6, hours=23) < lifetime <= timedelta(days=7)


def test_only_the_servers_user_may_read_the_data(tellapart: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    tellapart("migrate")

    files = [tmp_path / "data", *(tmp_path / "data").glob("tellapart.sqlite3*")]
    assert {file.name: stat.filemode(file.stat().st_mode) for file in files if "migrating" not in file.name} == {
        "data": "drwx------",
        "tellapart.sqlite3": "-rw-------",
    }


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (("serve",), {"TELLAPART_PROT": "9000"}, "There is no setting called TELLAPART_PROT."),
        (("serve",), {"TELLAPART_HOST": "0.0.0.0"}, "TELLAPART_HOST is 0.0.0.0, so that other machines could reach"),
        (("serve", "--port", "0"), {}, "TELLAPART_PORT has a value that can't be used"),
        (("worker",), {}, f"This database has no tables yet; this version needs {NEWEST}."),
        (("worker", "--check"), {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "The database doesn't answer"),
        (("migrate",), {"DATABASE_URL": "mysql://host/name"}, "DATABASE_URL has a value that can't be used"),
        (("migrate",), {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "The database doesn't answer as expected."),
        (("migrate",), {"DATABASE_URL": "postgresql://host:port/x"}, "DATABASE_URL has a value that can't be used"),
        (("serve",), {"TELLAPART_WEIGHTS": "/nonexistent"}, "TELLAPART_WEIGHTS has a value that can't be used"),
        (("serve",), {"FORWARDED_ALLOW_IPS": "0.0.0.0/0"}, "FORWARDED_ALLOW_IPS has a value that can't be used"),
        (("serve",), {"FORWARDED_ALLOW_IPS": "10.0.0.1,::/0"}, "FORWARDED_ALLOW_IPS has a value that can't be used"),
        (("serve",), {"TELLAPART_DATA": "/dev/null"}, "“/dev/null” can't be used: File exists."),
        (("serve",), {"TELLAPART_DATA": "/proc/data"}, "“/proc/data” can't be used: No such file or directory."),
    ],
)
def test_what_its_user_can_mend_is_a_sentence(
    tellapart: Run, words: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    ended = tellapart(*words, **settings)

    assert ended.returncode == 2
    assert ended.stderr.startswith(sentence)
    assert "Traceback" not in ended.stderr


def test_a_damaged_database_is_a_sentence(tellapart: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tellapart.sqlite3").write_bytes(b"no database " * 1000)

    ended = tellapart("migrate")

    assert ended.returncode == 2
    assert ended.stderr.startswith("The database can't be read: file is not a database.")


@pytest.mark.parametrize("name", ["100%", "a%20b", "what?", "#1", "an é"])
def test_the_data_folder_may_have_any_name(tellapart: Run, tmp_path: Path, name: str) -> None:
    tellapart("migrate", TELLAPART_DATA=str(tmp_path / name))

    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "tellapart.sqlite3").is_file()


def test_a_worker_that_nobody_started_is_missed(tellapart: Run) -> None:
    tellapart("migrate")

    ended = tellapart("worker", "--check")

    assert ended.returncode == 2
    assert ended.stderr.startswith("No worker on this machine has reported for 60 seconds.")
