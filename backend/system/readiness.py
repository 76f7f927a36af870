"""Whether the parts that requests need are there; each is asked in a thread and given a few seconds."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Final

import structlog
from redis import Redis

from backend.db.session import Database
from backend.dependencies import Services
from backend.domain.errors import NoRoom
from backend.imaging.pool import decoding_pool
from backend.settings import Settings
from backend.storage.base import Storage
from backend.system.repository import SystemRepository

log = structlog.get_logger()

PATIENCE_S: Final = 3.0
OK: Final = "ok"


class Readiness:
    """Asks each part. One that hangs is asked by one thread only, however often we are asked."""

    def __init__(self, parts: Mapping[str, Callable[[], None]], patience_s: float = PATIENCE_S) -> None:
        self._parts = parts
        self._patience_s = patience_s
        self._asked: dict[str, Future[None]] = {}

    async def words(self) -> dict[str, str]:
        """For each part ``ok`` or what is the matter, in a few words."""
        words = await asyncio.gather(*(self._word(name) for name in self._parts))
        return dict(zip(self._parts, words, strict=True))

    async def _word(self, name: str) -> str:
        asked = self._ask(name)
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(asked)), self._patience_s)
        except TimeoutError:
            return "doesn't answer"
        # Whatever a driver raises means the same to who asks; the log has the rest.
        except Exception as error:
            log.warning("part_not_ready", part=name, error=f"{type(error).__name__}: {error}")
            return "no room" if isinstance(error, NoRoom) else "unavailable"
        return OK

    def _ask(self, name: str) -> Future[None]:
        asked = self._asked.get(name)
        if asked is None or asked.done():
            asked = self._asked[name] = _in_thread(self._parts[name])
        return asked


def readiness_of(services: Services) -> Readiness:
    """The parts that requests need."""
    return Readiness(
        {
            "database": lambda: _database(services.database),
            "queue": lambda: _queue(services.settings),
            "storage": lambda: _storage(services.storage),
            "pictures": lambda: decoding_pool().check(),
        }
    )


def _in_thread(ask: Callable[[], None]) -> Future[None]:
    answer: Future[None] = Future()

    def run() -> None:
        try:
            ask()
        except Exception as error:  # handed on to whoever waits
            answer.set_exception(error)
        else:
            answer.set_result(None)

    # A daemon, so that a part that hangs for ever doesn't keep the server from ending.
    Thread(target=run, name="readiness", daemon=True).start()
    return answer


def _database(database: Database) -> None:
    with database.read() as session:
        SystemRepository(session).answer()


def _queue(settings: Settings) -> None:
    """Without a broker the queue is the ledger, which ``database`` covers."""
    if settings.redis_url is None:
        return
    timeout = PATIENCE_S - 1
    with Redis.from_url(settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout) as redis:
        redis.ping()


def _storage(storage: Storage) -> None:
    probe = storage.folder("probes", "readyz") / "probe"
    probe.write_bytes(b"ok")
    probe.unlink(missing_ok=True)
    if storage.free_bytes() <= 0:
        raise NoRoom()
