"""What endpoints and pages may ask for, by type alias."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from backend.db.session import Database, ReadSession
from backend.ledger.unit_of_work import JobNotifier, OpenUnit, UnitOfWork, unit_of_work
from backend.settings import Settings
from backend.storage.base import Storage
from backend.timm_lookup import TimmLookup


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that live as long as the application does; one set, built in ``create_app``."""

    settings: Settings
    database: Database
    storage: Storage
    notifier: JobNotifier
    networks: TimmLookup

    def open_unit(self) -> OpenUnit:
        """For use cases that take several short transactions."""
        return lambda: unit_of_work(self.database, self.notifier)


# Dependencies that only hand something out are async: a plain function would take a thread for each request, and on a
# busy server /healthz and /readyz would wait for one.
async def services(request: Request) -> Services:
    """The application's parts."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


ServicesDep = Annotated[Services, Depends(services)]


def _reading(services: ServicesDep) -> Iterator[ReadSession]:
    with services.database.read() as session:
        yield session


def _working(services: ServicesDep) -> Iterator[UnitOfWork]:
    with unit_of_work(services.database, services.notifier) as unit:
        yield unit


async def _storage(services: ServicesDep) -> Storage:
    return services.storage


async def _settings(services: ServicesDep) -> Settings:
    return services.settings


# scope="function": the commit happens before the answer is sent, so a failed one is an error and not a lie.
ReadDep = Annotated[ReadSession, Depends(_reading, scope="function")]
UnitDep = Annotated[UnitOfWork, Depends(_working, scope="function")]
StorageDep = Annotated[Storage, Depends(_storage)]
SettingsDep = Annotated[Settings, Depends(_settings)]
