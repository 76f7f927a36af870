"""Connections that hold others up: time limits for headers and bodies, and a limit by address.

Uvicorn itself waits for ever for the rest of a request. A thousand halves of requests, which need no key, would use up
the files that a process may open; a few uploads that hardly move would use up the threads.
"""

import asyncio
import ipaddress
import json
import resource
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from backend.accounts.guesses import network_of
from backend.error_handlers import error_body

log = structlog.get_logger()

_MOST_FILES: Final = 65_536


@dataclass(slots=True)
class _FromOneAddress:
    """Its open connections, and those of them that have begun a request whose headers aren't complete, oldest first."""

    is_open: int = 0
    unfinished: dict["LimitedProtocol", None] = field(default_factory=dict)


_addresses: WeakKeyDictionary[ServerState, dict[str, _FromOneAddress]] = WeakKeyDictionary()


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 with patience for slow people, but not for ever.

    Attributes:
        headers_s: from a connection's or a further request's first byte to the end of the headers.
        body_s: within each such time, at least ``body_bytes`` of a body have to come.
        most_unfinished: requests of one address whose headers aren't complete; a further one ends the oldest.
        most_connections: of one address; this machine and proxies in front, which speak for many, may have more.
        linger_s: how long a refused one may go on to send.
    """

    headers_s = 20.0
    body_s = 30.0
    body_bytes = 4096
    most_unfinished = 100
    most_connections = 500
    linger_s = 1.0

    _timer: asyncio.TimerHandle | None = None
    _is_body = False
    _is_refused = False
    _received = 0
    _network = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._network = network_of(self.client[0] if self.client else None)
        self._ours.is_open += 1
        if self._ours.is_open > self.most_connections and not self._speaks_for_many():
            log.warning("too_many_connections", address=self._network)
            self._refuse(429, "Too Many Requests", "too-many-connections", "Too many connections from this address.")
            return
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._received += len(data)
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.IDLE:
            if self not in self._ours.unfinished:
                self._wait_for_headers()
        elif state is not h11.SEND_BODY:
            self._wait(None)
        elif not self._is_body:
            self._wait(self.body_s)
            self._is_body, self._received = True, 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        ours = self._ours
        ours.unfinished.pop(self, None)
        ours.is_open -= 1
        if ours.is_open == 0:
            _addresses[self.server_state].pop(self._network, None)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Between two requests uvicorn's own time limit counts."""
        self._wait(None)
        super().on_response_complete()

    @property
    def _ours(self) -> _FromOneAddress:
        return _addresses.setdefault(self.server_state, {}).setdefault(self._network, _FromOneAddress())

    def _wait_for_headers(self) -> None:
        self._wait(self.headers_s)
        unfinished = self._ours.unfinished
        unfinished[self] = None
        if len(unfinished) > self.most_unfinished:
            next(iter(unfinished))._give_up()

    def _wait(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._is_body = False
        if not self.transport.is_closing():
            self._ours.unfinished.pop(self, None)
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """The time is over: end what has hardly moved."""
        # While we don't read, because the body can't be stored so quickly, it isn't the sender who is slow.
        if self._is_body and (self._received >= self.body_bytes or self.flow.read_paused):
            self._wait(self.body_s)
            self._is_body, self._received = True, 0
            return
        self._give_up()

    def _give_up(self) -> None:
        log.info("connection_too_slow", address=self._network, part="body" if self._is_body else "headers")
        if self._is_body:
            self._wait(None)
            self.transport.close()
        else:
            self._refuse(408, "Request Timeout", "request-too-slow", "The request didn't arrive in time.")

    def _speaks_for_many(self) -> bool:
        try:
            address = ipaddress.ip_address(self.client[0] if self.client else "")
        except ValueError:
            return True  # a socket in the file system
        allowed = self.config.forwarded_allow_ips or ""
        proxies = allowed.split(",") if isinstance(allowed, str) else allowed
        return address.is_loopback or any(
            address in ipaddress.ip_network(proxy.strip(), strict=False) for proxy in proxies if proxy.strip()
        )

    def _refuse(self, status: int, reason: str, code: str, message: str) -> None:
        body = json.dumps(error_body(code, message, "Try again in a minute.")).encode()
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        # What is still on its way is read and left: a connection that is closed over unread bytes loses its answer.
        self._is_refused = True
        self._wait(None)
        self.transport.write_eof()
        self.loop.call_later(self.linger_s, self.transport.close)


def allow_many_files() -> None:
    """Let this process open as many files, and so connections, as the system allows without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
