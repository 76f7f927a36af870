"""The command line: what it answers, and that a mistake ends in a sentence."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.processes import environment_without_ours

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
    told = tellapart("--help").stdout

    assert [name for name in ("serve", "worker", "migrate", "token", "demo") if f" {name} " not in told] == []


def test_migrate_makes_the_database_and_says_so(tellapart: Run, tmp_path: Path) -> None:
    first, second = tellapart("migrate"), tellapart("migrate")

    assert first.stdout == "The database has schema 0002.\n"
    assert second.stdout == "The database has schema 0002, before 0002.\n"
    assert (tmp_path / "data" / "tellapart.sqlite3").is_file()


def test_token_prints_the_same_key_every_time(tellapart: Run) -> None:
    first, second = tellapart("token"), tellapart("token")

    assert len(first.stdout.strip()) == 43
    assert first.stdout == second.stdout


def test_token_prints_the_address_to_sign_in_at(tellapart: Run) -> None:
    key = tellapart("token").stdout.strip()

    told = tellapart("token", "--link", TELLAPART_PORT="9000").stdout

    assert told == f"http://127.0.0.1:9000/sign-in?token={key}\n"


def test_behind_a_proxy_it_is_the_address_that_people_use(tellapart: Run) -> None:
    told = tellapart(
        "token", "--link", TELLAPART_BASE_URL="https://host/tell/", TELLAPART_TOKEN="a-long-enough-secret"
    ).stdout

    assert told == "https://host/tell/sign-in?token=a-long-enough-secret\n"


def test_token_makes_another_key_for_a_program(tellapart: Run) -> None:
    owner = tellapart("token").stdout

    first, second = tellapart("token", "--new", "farm"), tellapart("token", "--new", "farm")

    assert len({owner, first.stdout, second.stdout}) == 3
    assert len(first.stdout.strip()) == 43


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (("serve",), {"TELLAPART_PROT": "9000"}, "There is no setting called TELLAPART_PROT."),
        (("serve",), {"TELLAPART_HOST": "0.0.0.0"}, "TELLAPART_HOST is 0.0.0.0, so that other machines could reach"),
        (("serve", "--port", "0"), {}, "TELLAPART_PORT has a value that can't be used"),
        (("worker",), {}, "This database has no tables yet; this version needs 0002."),
        (("worker", "--check"), {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "The database doesn't answer"),
        (("migrate",), {"DATABASE_URL": "mysql://host/name"}, "DATABASE_URL has a value that can't be used"),
        (("migrate",), {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "The database doesn't answer as expected."),
    ],
)
def test_what_its_user_can_mend_is_a_sentence(
    tellapart: Run, words: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    ended = tellapart(*words, **settings)

    assert ended.returncode == 2
    assert ended.stderr.startswith(sentence)
    assert "Traceback" not in ended.stderr


def test_a_worker_that_nobody_started_is_missed(tellapart: Run) -> None:
    tellapart("migrate")

    ended = tellapart("worker", "--check")

    assert ended.returncode == 2
    assert ended.stderr.startswith("No worker of this machine has been heard of for 60 seconds.")
