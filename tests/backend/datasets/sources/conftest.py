"""Imports from elsewhere, done as the worker does them, and a web server that tests write."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from backend.datasets.imports import run_import
from backend.datasets.sources.opening import Elsewhere
from backend.db.session import WriteSession
from backend.domain.errors import AppError
from backend.domain.json import Json
from backend.outbound.networks import parse_networks
from tests.backend.datasets.conftest import Ana
from tests.fixtures.web_server import WebServer, running_web_server

LOOPBACK = Elsewhere(networks=parse_networks("127.0.0.0/8"))


@dataclass(frozen=True)
class Importer:
    """Asks for imports from elsewhere in Ana's name, and does them."""

    ana: Ana

    def ask(self, **source: Json) -> Json:
        """The import as it is queued."""
        answer = self.ana.client.post(f"/api/v1/datasets/{self.ana.dataset_id}/from-urls", json=source)
        assert answer.status_code == 202, answer.text
        found: Json = answer.json()
        return found

    def refusal(self, **source: Json) -> tuple[int, str]:
        """Status and code with which a request is refused."""
        answer = self.ana.client.post(f"/api/v1/datasets/{self.ana.dataset_id}/from-urls", json=source)
        return answer.status_code, answer.json()["error"]["code"]

    def run(
        self,
        import_id: str,
        elsewhere: Elsewhere = LOOPBACK,
        *,
        fence: Callable[[WriteSession], None] = lambda _session: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Json:
        """Do what the worker would, and look."""
        services = self.ana.services
        run_import(
            services.open_unit(),
            services.storage,
            import_id,
            fence=fence,
            should_stop=should_stop,
            elsewhere=elsewhere,
            wait=lambda _seconds: None,
        )
        return self.ana.import_(import_id)

    def failure(self, import_id: str, elsewhere: Elsewhere = LOOPBACK) -> AppError | None:
        """The error that an import ends with."""
        with suppress(AssertionError):
            try:
                self.run(import_id, elsewhere)
            except AppError as error:
                return error
        return None

    def paths(self) -> list[str]:
        """Of the pictures that are there."""
        return sorted(image["path"] for image in self.ana.images("limit=1000"))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is stored of these imports is stored of all others too, and tested there on both databases."""
    return sqlite_url


@pytest.fixture
def importer(ana: Ana) -> Importer:
    """Asks for imports, and does them."""
    return Importer(ana)


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server whose answers the test writes."""
    with running_web_server() as server:
        yield server
