"""Events of runs as they happen: one thread reads the database for all open streams.

The load on the database is the same for one subscriber as for five hundred, and no
subscriber holds a connection. Every message has an id, the number of the last recorded
event that it includes, so that a stream that broke off goes on after it. Kinds of message:

* ``snapshot``: first in every stream of a run: ``run``, ``epochs`` and the ``curve`` so far;
* ``phase note stage steps epoch checkpoint image-skipped``: what the run recorded (``record.KIND_OF``);
* ``run``: the run as the API shows it (``RunRead``), whenever that has changed;
* ``end``: the run has ended, ``{"status": ...}``, or was deleted (``deleted``), or can't be read (``unavailable``);
  nothing follows in a stream of that run alone;
* ``pill``: what the frame shows of the run at work, whenever that changes; with it comes that run's ``run``.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Final

import anyio
import structlog
from sqlalchemy.orm import Session

from backend.db.session import DATABASE_AWAY, Database
from backend.domain.json import Json
from backend.domain.runs import RunNotFound
from backend.training.forecast.durations import eta_words
from backend.training.repository import RunRepository
from backend.training.run_view import Pill, pill_of, show_pill, show_run
from backend.training.schemas import EpochRead, RunRead

log = structlog.get_logger()

POLL_S: Final = 0.5
_BATCH: Final = 500
_MOST_WAITING: Final = 2000
"""Messages that may wait for a subscriber; one that is slower is cut off and reconnects by itself."""
_DELETED: Final = "deleted"
_UNAVAILABLE: Final = "unavailable"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream; ``number`` is where to go on after it."""

    kind: str
    data: Json
    number: int


@dataclass(slots=True, eq=False)
class Subscription:
    """One open stream.

    Attributes:
        run_id: the run whose events it gets; None for none.
        wants_pill: whether it gets the pill; such a stream outlives its run.
        sent: number of the last recorded event that was put into it.
        run, pill: what was sent of them last.
    """

    run_id: str | None
    wants_pill: bool
    loop: asyncio.AbstractEventLoop
    sent: int = 0
    run: dict[str, Json] | None = None
    pill: Pill | None = None
    has_ended: bool = False
    # One place more, for the mark of the end.
    queue: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING + 1))
    _is_closed: bool = False

    def send(self, kind: str, data: Json) -> None:
        """Put a message into the stream, from any thread."""
        message = Message(kind, data, self.sent)
        with suppress(RuntimeError):  # its event loop is closed: the connection has gone
            self.loop.call_soon_threadsafe(self._put, message)

    def end(self) -> None:
        """Close the stream after what was put into it, from any thread."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._close)

    def _put(self, message: Message) -> None:
        if self._is_closed:
            return
        # What comes first is kept: the ids then say truly where to go on.
        if self.queue.qsize() >= _MOST_WAITING:
            self._close()
        else:
            self.queue.put_nowait(message)

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.queue.put_nowait(None)


class EventFeed:
    """All open streams of this process and the thread that feeds them; it ends when there are none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: set[Subscription] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def open(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        run_id: str | None = None,
        after: int | None = None,
        wants_pill: bool = False,
    ) -> Subscription:
        """A new stream, its first messages in it already. Reads the database: not for the event loop.

        Raises:
            RunNotFound: no such run.
        """
        subscription = Subscription(run_id, wants_pill, loop)
        with self._database.read() as session:
            if run_id is not None:
                _send_snapshot(session, subscription, run_id, after)
            if wants_pill:
                subscription.pill = show_pill(session)
                _send_pill(session, subscription)
        self._add(subscription)
        return subscription

    def close(self, subscription: Subscription) -> None:
        """Forget a stream whose connection has gone."""
        with self._lock:
            self._subscriptions.discard(subscription)
        self._wake.set()

    def stop(self) -> None:
        """End all streams and wait for the thread that feeds them: the database is going to be closed."""
        with self._lock:
            subscriptions, thread = list(self._subscriptions), self._thread
            self._subscriptions.clear()
        for subscription in subscriptions:
            subscription.end()
        self._wake.set()
        if thread is not None:
            thread.join(timeout=5)

    @property
    def subscriptions(self) -> int:
        """How many streams are open."""
        return len(self._subscriptions)

    def _add(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.add(subscription)
            # Asked of the thread itself: a flag beside it would outlive a thread that ended in an error.
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._feed, name="events", daemon=True)
            self._thread.start()

    def _feed(self) -> None:
        while True:
            with self._lock:
                subscriptions = list(self._subscriptions)
                if not subscriptions:
                    self._thread = None
                    return
                self._wake.clear()
            try:
                self._send_news(subscriptions)
            except DATABASE_AWAY as error:
                log.warning("stream_without_database", error=type(error).__name__)
            self._wake.wait(POLL_S)

    def _send_news(self, subscriptions: list[Subscription]) -> None:
        """Send to every subscription what is new of its run and of the pill."""
        by_run: dict[str, list[Subscription]] = {}
        for subscription in subscriptions:
            if subscription.run_id is not None and not subscription.has_ended:
                by_run.setdefault(subscription.run_id, []).append(subscription)
        with self._database.read() as session:
            for run_id, concerned in by_run.items():
                self._guarded(session, concerned, partial(self._send_run, session, run_id, concerned))
            if with_pill := [one for one in subscriptions if one.wants_pill]:
                self._guarded(session, with_pill, partial(_send_pills, session, with_pill))

    def _guarded(self, session: Session, concerned: list[Subscription], send: Callable[[], None]) -> None:
        """Send, and end those streams that this fails for: one of them must never silence the others.

        Raises:
            DATABASE_AWAY: all streams wait for the database.
        """
        try:
            send()
        except DATABASE_AWAY:
            raise
        except RunNotFound:
            self._end(concerned, _DELETED)
        # Whatever is wrong with one run is no reason to end the thread that all streams are fed by.
        except Exception:
            log.exception("stream_failed")
            session.rollback()
            self._end(concerned, _UNAVAILABLE)

    def _send_run(self, session: Session, run_id: str, subscriptions: list[Subscription]) -> None:
        # The run first: what is recorded after it can only be newer, never missing before an end.
        run = _run_json(session, run_id)
        events = RunRepository(session).events(run_id, min(one.sent for one in subscriptions), _BATCH)
        is_over = len(events) < _BATCH and run["status"] in ("succeeded", "failed", "cancelled")
        for subscription in subscriptions:
            for event in events:
                if event.id > subscription.sent:
                    subscription.sent = event.id
                    subscription.send(event.kind, event.data)
            if run != subscription.run:
                subscription.run = run
                subscription.send("run", run)
        if is_over:
            self._end(subscriptions, run["status"])

    def _end(self, subscriptions: Iterable[Subscription], status: str) -> None:
        """Say that the run of these streams has ended; a stream of the pill goes on without the run."""
        for subscription in subscriptions:
            subscription.has_ended = True
            subscription.send("end", {"status": status})
            if not subscription.wants_pill or status == _UNAVAILABLE:
                self.close(subscription)
                subscription.end()


def _send_snapshot(session: Session, subscription: Subscription, run_id: str, after: int | None) -> None:
    runs = RunRepository(session)
    newest = runs.newest_event(run_id)
    # A number from another run or database would hide everything that is to come.
    subscription.sent = newest if after is None or after > newest else after
    subscription.run = _run_json(session, run_id)
    snapshot = {
        "run": subscription.run,
        "epochs": [EpochRead.of(row).model_dump(mode="json") for row in runs.epochs(run_id)],
        "curve": runs.curve(run_id),
    }
    subscription.send("snapshot", snapshot)


def _send_pills(session: Session, subscriptions: list[Subscription]) -> None:
    newest = show_pill(session)
    for subscription in subscriptions:
        pill = newest
        if pill is None and subscription.pill is not None:
            # No run is left: how the last one ended is worth a message.
            pill = pill_of(session, subscription.pill.run_id)
        if pill != subscription.pill:
            subscription.pill = pill
            _send_pill(session, subscription)


def _send_pill(session: Session, subscription: Subscription) -> None:
    pill = subscription.pill
    subscription.send("pill", pill_json(pill))
    if pill is not None and pill.run_id != subscription.run_id:
        with suppress(RunNotFound):  # deleted since the pill was read; the next look finds another
            subscription.send("run", _run_json(session, pill.run_id))


def pill_json(pill: Pill | None) -> dict[str, Json] | None:
    """The pill as it is sent; None where no run is waiting or running."""
    if pill is None:
        return None
    left = None if pill.eta_s is None else eta_words(pill.eta_s)
    return {**asdict(pill), "id": pill.run_id, "queue_position": pill.queue, "eta_words": left}


def _run_json(session: Session, run_id: str) -> dict[str, Json]:
    return RunRead.of(show_run(session, run_id)).model_dump(mode="json")


async def messages(
    feed: EventFeed, subscription: Subscription, leaving: anyio.Event | None = None
) -> AsyncIterator[dict[str, Any]]:  # Any: as sse-starlette takes it
    """The stream's messages, until it ends, its connection has gone, or the server leaves (``leaving``)."""
    farewell = asyncio.create_task(_end_when(leaving, subscription)) if leaving else None
    try:
        while (message := await subscription.queue.get()) is not None:
            yield {
                "id": str(message.number),
                "event": message.kind,
                "data": json.dumps(message.data, ensure_ascii=False),
            }
    finally:
        feed.close(subscription)
        if farewell is not None:
            farewell.cancel()


async def _end_when(leaving: anyio.Event, subscription: Subscription) -> None:
    await leaving.wait()
    subscription.end()
