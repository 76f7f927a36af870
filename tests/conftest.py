"""Real databases, a real data folder, and clients at the front door."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, make_url, text
from starlette.testclient import TestClient

from backend import migrations
from backend.accounts.tokens import ensure_owner_token
from backend.app import create_app
from backend.db.session import Database
from backend.dependencies import Services
from backend.ledger.job import JobKind
from backend.settings import Settings, load
from backend.storage.local import LocalStorage
from tests.fixtures.postgres import empty, running_postgres
from tests.fixtures.tested_machine import count_as_tested

OWNER_TOKEN = "test-token-of-ana-0123456789"

# Work in the background that takes seconds is switched on only by tests that are about it.
os.environ |= {"TELLAPART_EXAMINE": "false", "TELLAPART_HEATMAPS_AHEAD": "false", "TELLAPART_STANDBY": "false"}


class CollectingNotifier:
    """Collects the notifications instead of sending them."""

    def __init__(self) -> None:
        self.notifications: list[JobKind] = []

    def notify(self, kind: JobKind) -> None:
        """Remember."""
        self.notifications.append(kind)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL database, shared by all tests; each empties it when it is done."""
    # Not in pytest's own folder: the next pytest that starts would close that to the server's user.
    with TemporaryDirectory(prefix="tellapart-postgres-") as folder, running_postgres(Path(folder)) as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file that the real migrations made; tests work on copies."""
    file = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite3"
    migrations.upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def tested_sqlite(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Path:
    """The same, in which this machine counts as tested."""
    file = tmp_path_factory.mktemp("sqlite") / "tested.sqlite3"
    shutil.copy(migrated_sqlite, file)
    database = Database(f"sqlite:///{file}")
    with database.write() as session:
        count_as_tested(session)
    database.dispose()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty, migrated database of either kind."""
    if request.param == "sqlite":
        file = tmp_path / "tellapart.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    url: str = request.getfixturevalue("postgres_url")
    yield url
    empty(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of either kind, without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    shared = make_url(request.getfixturevalue("postgres_url"))
    administration = create_engine(shared, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text("CREATE DATABASE migrated"))
    yield shared.set(database="migrated").render_as_string(hide_password=False)
    with administration.connect() as connection:
        connection.execute(text("DROP DATABASE migrated WITH (FORCE)"))
    administration.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """An empty, migrated SQLite database, for tests to which the kind of database doesn't matter."""
    file = tmp_path / "only.sqlite3"
    shutil.copy(migrated_sqlite, file)
    return f"sqlite:///{file}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Sessions on an empty database of either kind."""
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """An empty storage folder."""
    return LocalStorage(tmp_path / "storage")


@pytest.fixture
def notifier() -> CollectingNotifier:
    """A notifier that collects its notifications."""
    return CollectingNotifier()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a server in a folder of its own."""
    return settings_in(tmp_path, database_url)


def settings_in(folder: Path, database_url: str) -> Settings:
    """Settings of a server whose data lie in ``folder``."""
    return load(
        _env_file=None,
        data=folder,
        DATABASE_URL=database_url,
        STORAGE_URL=f"file://{folder / 'storage'}",
        token=OWNER_TOKEN,
    )


_DOCUMENT: Final[dict[str, Any]] = {}  # Any: as in FastAPI
"""The description of the API, once made."""


@pytest.fixture
def app(settings: Settings, notifier: CollectingNotifier) -> Iterator[FastAPI]:
    """The application on an empty database of either kind."""
    app = create_app(settings, notifier=notifier)
    # The same for all: describing 200 addresses takes a second.
    _DOCUMENT.update({} if _DOCUMENT else app.openapi())
    app.openapi_schema = _DOCUMENT
    ensure_owner_token(app.state.services.database, settings)
    yield app
    app.state.services.database.dispose()


@pytest.fixture
def services(app: FastAPI) -> Services:
    """The parts of the running application."""
    found = app.state.services
    assert isinstance(found, Services)
    return found


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Ana, who owns everything, calling by program."""
    with TestClient(
        app,
        base_url="http://127.0.0.1:8000",
        headers={"Authorization": f"Bearer {OWNER_TOKEN}"},
        raise_server_exceptions=False,
    ) as client:
        yield client


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    """Somebody who has no key."""
    with TestClient(
        app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False, follow_redirects=False
    ) as client:
        yield client


_SHARED_BY: Final = {
    "tests/worker/kill": "tests/worker/kill",
    "tests/e2e/test_screens.py": "every page",
    "tests/e2e/test_weight.py": "every page",
    "tests/e2e/test_hostile_text.py": "every page",
    "tests/e2e": "tests/e2e",
}
"""What shares a server, by the beginning of its path; the first that fits counts."""
_LONGEST: Final = (
    "tests/worker/kill",
    "every page",
    "tests/e2e",
    "tests/worker/test_several_devices.py",
    "tests/backend/test_serve.py",
    "tests/backend/test_demo.py",
    "tests/backend/test_cli.py",
    "tests/backend/training/pages/test_train.py",
)
"""Groups that take longest, in the order in which they are begun: last, they would keep one process busy alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, where tests run side by side, a file and what shares a server; begin with the longest.

    The tests of pages are two groups, each with a server of its own: together they would take longer than all others.
    """
    places = {}
    for item in items:
        file = Path(item.nodeid.partition("::")[0])
        shared = next((group for path, group in _SHARED_BY.items() if file.is_relative_to(path)), str(file))
        item.add_marker(pytest.mark.xdist_group(shared))
        places[item] = _LONGEST.index(shared) if shared in _LONGEST else len(_LONGEST)
    items.sort(key=lambda item: places[item])
