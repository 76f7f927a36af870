"""What happens, as it happens: one thread looks at the database for all who listen.

The load on the database is the same for one listener as for five hundred, and no
listener holds a connection. Each run's events carry their numbers, so that a stream
that broke off goes on where it was. Kinds of message:

* ``snapshot``: first in every stream of a run: ``run``, ``epochs`` and the ``curve`` so far;
* ``phase stage steps epoch checkpoint image-skipped``: what the run recorded (``progress.KIND_OF``), with numbers;
* ``run``: the run's own line (``RunRead``), whenever it has changed;
* ``end``: the run has come to its end, ``{"status": ...}``; nothing follows in a stream of that run alone;
* ``pill``: what the frame says about the run at work, whenever that changes; with it comes that run's ``run``.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import anyio
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from backend.db.session import Database
from backend.domain.json import Json
from backend.training.forecast.durations import eta_words
from backend.training.repository import RunRepository
from backend.training.run_view import Pill, pill_of, show_pill, show_run
from backend.training.schemas import EpochRead, RunRead

log = structlog.get_logger()

POLL_S: Final = 0.5
_BATCH: Final = 500
_ROOM: Final = 2000
"""Messages that may wait for a listener; one that is slower is cut off and comes back by itself."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream; ``number`` is where to go on after it."""

    kind: str
    data: Json
    number: int | None = None


@dataclass(slots=True, eq=False)
class Listener:
    """One open stream.

    Attributes:
        run_id: the run whose events it gets; None for none.
        wants_pill: whether it gets the pill.
        ends_with_run: whether it ends when the run does.
        seen: number of the last event it got.
    """

    run_id: str | None
    wants_pill: bool
    ends_with_run: bool
    loop: asyncio.AbstractEventLoop
    seen: int = 0
    run: dict[str, Json] | None = None
    pill: Pill | None = None
    has_ended: bool = False
    queue: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(_ROOM))
    _is_closed: bool = False

    def send(self, message: Message) -> None:
        """Put a message into the stream, from any thread."""
        with suppress(RuntimeError):  # its loop has been closed: nobody listens any more
            self.loop.call_soon_threadsafe(self._put, message)

    def end(self) -> None:
        """Close the stream after what it was sent, from any thread."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._close)

    def _put(self, message: Message) -> None:
        if self.queue.full():
            self._close()
        elif not self._is_closed:
            self.queue.put_nowait(message)

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Watch:
    """All open streams of this process and the thread that feeds them; it ends when nobody listens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._is_running = False
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def open(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        run_id: str | None = None,
        after: int | None = None,
        wants_pill: bool = False,
    ) -> Listener:
        """A new stream, its first messages in it already. Looks into the database: not for the event loop.

        Raises:
            RunNotFound: no such run.
        """
        listener = Listener(run_id, wants_pill, ends_with_run=not wants_pill, loop=loop)
        with self._database.read() as session:
            if run_id is not None:
                self._begin(session, listener, run_id, after)
            if wants_pill:
                listener.pill = show_pill(session)
                _send_pill(session, listener)
        self._add(listener)
        return listener

    def close(self, listener: Listener) -> None:
        """Nobody listens to this stream any more."""
        with self._lock:
            self._listeners.discard(listener)
        self._wake.set()

    def stop(self) -> None:
        """End all streams and wait for the thread that feeds them: the database is going to be closed."""
        with self._lock:
            listeners, thread = list(self._listeners), self._thread
            self._listeners.clear()
        for listener in listeners:
            listener.end()
        self._wake.set()
        if thread is not None:
            thread.join(timeout=5)

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def _begin(self, session: Session, listener: Listener, run_id: str, after: int | None) -> None:
        runs = RunRepository(session)
        newest = runs.newest_event(run_id)
        # A number from another run or database would hide everything that is to come.
        listener.seen = newest if after is None or after > newest else after
        listener.run = _run_json(session, run_id)
        snapshot = {
            "run": listener.run,
            "epochs": [EpochRead.of(row).model_dump(mode="json") for row in runs.epochs(run_id)],
            "curve": runs.curve(run_id),
        }
        listener.send(Message("snapshot", snapshot, listener.seen))

    def _add(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.add(listener)
            if self._is_running:
                return
            self._is_running = True
            self._thread = threading.Thread(target=self._feed, name="watch", daemon=True)
            self._thread.start()

    def _feed(self) -> None:
        while True:
            with self._lock:
                listeners = list(self._listeners)
                if not listeners:
                    self._is_running = False
                    return
                self._wake.clear()
            try:
                self._look(listeners)
            except (DBAPIError, PoolTimeout) as error:
                log.warning("stream_without_database", error=type(error).__name__)
            self._wake.wait(POLL_S)

    def _look(self, listeners: list[Listener]) -> None:
        """Find out what is new, and tell everybody whom it concerns."""
        with self._database.read() as session:
            for run_id in {listener.run_id for listener in listeners if listener.run_id}:
                self._tell_run(session, run_id, [listener for listener in listeners if listener.run_id == run_id])
            if asking := [listener for listener in listeners if listener.wants_pill]:
                _tell_pill(session, asking)

    def _tell_run(self, session: Session, run_id: str, listeners: list[Listener]) -> None:
        # The run's line first: what is recorded after it can only be newer, never missing before an end.
        run = _run_json(session, run_id)
        events = RunRepository(session).events(run_id, min(listener.seen for listener in listeners), _BATCH)
        messages = [Message(event.kind, event.data, event.id) for event in events]
        has_all = len(messages) < _BATCH
        for listener in listeners:
            for message in messages:
                if message.number is not None and message.number > listener.seen:
                    listener.seen = message.number
                    listener.send(message)
            if run != listener.run:
                listener.run = run
                listener.send(Message("run", run))
            if has_all and not listener.has_ended and run["status"] in ("succeeded", "failed", "cancelled"):
                listener.has_ended = True
                listener.send(Message("end", {"status": run["status"]}))
                if listener.ends_with_run:
                    self.close(listener)
                    listener.end()


def _tell_pill(session: Session, listeners: list[Listener]) -> None:
    newest = show_pill(session)
    for listener in listeners:
        pill = newest
        if pill is None and listener.pill is not None:
            # Nothing goes on any more: how the last one ended is worth a message.
            pill = pill_of(session, listener.pill.run_id)
        if pill != listener.pill:
            listener.pill = pill
            _send_pill(session, listener)


def _send_pill(session: Session, listener: Listener) -> None:
    listener.send(Message("pill", pill_json(listener.pill)))
    if listener.pill is not None and listener.pill.run_id != listener.run_id:
        listener.send(Message("run", _run_json(session, listener.pill.run_id)))


def pill_json(pill: Pill | None) -> dict[str, Json] | None:
    """The pill as it is sent; None where no run is waiting or running."""
    if pill is None:
        return None
    left = None if pill.eta_s is None else eta_words(pill.eta_s)
    return {**asdict(pill), "id": pill.run_id, "queue_position": pill.queue, "eta_words": left}


def _run_json(session: Session, run_id: str) -> dict[str, Json]:
    return RunRead.of(show_run(session, run_id)).model_dump(mode="json")


async def messages(
    watch: Watch, listener: Listener, leaving: anyio.Event | None = None
) -> AsyncIterator[dict[str, Any]]:  # Any: as sse-starlette takes it
    """The stream's messages, until it ends, nobody listens, or the server leaves (``leaving``)."""
    farewell = asyncio.create_task(_end_when(leaving, listener)) if leaving else None
    try:
        while (message := await listener.queue.get()) is not None:
            sent: dict[str, Any] = {"event": message.kind, "data": json.dumps(message.data, ensure_ascii=False)}
            if message.number is not None:
                sent["id"] = str(message.number)
            yield sent
    finally:
        watch.close(listener)
        if farewell is not None:
            farewell.cancel()


async def _end_when(leaving: anyio.Event, listener: Listener) -> None:
    await leaving.wait()
    listener.end()
