"""The client: one request at a time from an address, with every limit that strangers' servers need."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Lock
from time import monotonic
from types import TracebackType
from typing import Final, Self

import certifi
import httpcore

from backend.outbound.addresses import Address, parse
from backend.outbound.dialling import CONNECT_S, CheckedBackend, Pace, Resolve, resolve
from backend.outbound.errors import Stopped, Unfetched, broke_off, no_answer, too_large, too_slow, unproved
from backend.outbound.networks import Network, Reach

MOST_REDIRECTS: Final = 5
CONNECTIONS_A_HOST: Final = 4
REQUESTS_A_SECOND: Final = 20.0
"""To one host, at most."""
IDLE_S: Final = 30.0
LONGEST_WAIT_S: Final = 60.0
"""How long a server may ask to be left alone; what asks for more is given up."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
AGENT: Final = "Tellapart (imports pictures that a person has asked for)"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may cost; times in seconds."""

    bytes: int
    connect_s: float = CONNECT_S
    idle_s: float = IDLE_S
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body is still to be read.

    Attributes:
        address: where it came from, after redirects.
        headers: by name in lower case.
        size: bytes that the body is said to have; None where the server doesn't say.
    """

    address: Address
    status: int
    headers: Mapping[str, str]
    size: int | None
    chunks: Iterator[bytes]

    @property
    def media_type(self) -> str:
        """What the server calls it, such as ``image/jpeg``."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Client:
    """Fetches from addresses that people gave; threads share it.

    Args:
        trusted: networks besides the public internet that may be reached.
        should_stop: asked before each request and between chunks.
        resolve: how names become addresses.
        pace: how slowly a server may send.
        requests_a_second: to one server, at most.
        context: for TLS; without it, the system's authorities and Mozilla's.
    """

    def __init__(
        self,
        trusted: Sequence[Network] = (),
        *,
        should_stop: Callable[[], bool] = lambda: False,
        resolve: Resolve = resolve,
        pace: Pace | None = None,
        requests_a_second: float = REQUESTS_A_SECOND,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._backend = CheckedBackend(Reach(tuple(trusted)), resolve, pace or Pace())
        # httpcore knows nothing of proxies in the environment, of redirects, cookies or encodings.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context or _context(), network_backend=self._backend, max_connections=64, keepalive_expiry=10
        )
        self._should_stop = should_stop
        self._hosts = _Hosts(1 / requests_a_second)
        self._ended = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything, also what other threads are waiting for."""
        self._ended.set()
        self._backend.abort()
        self._pool.close()

    @contextmanager
    def get(self, address: str | Address, limits: Limits, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """The answer at an address, after at most five redirects, each as strictly checked as the first.

        Raises:
            Unfetched: the address or its server can't be used, the server refuses, or what comes breaks a limit.
            Stopped: ``should_stop`` returned true.
        """
        at = parse(address) if isinstance(address, str) else address
        for _ in range(MOST_REDIRECTS + 1):
            with self.request("GET", at, limits, headers) as answer:
                if answer.status not in _REDIRECTS or "location" not in answer.headers:
                    _check(answer)
                    yield answer
                    return
                at = at.joined(answer.headers["location"])
        raise Unfetched("link-too-many-redirects", "it leads on from address to address without end")

    @contextmanager
    def request(
        self,
        method: str,
        address: Address,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Iterator[Answer]:
        """One request, whatever its status; redirects aren't followed.

        Raises:
            Unfetched, Stopped
        """
        self._check_stop()
        host = self._hosts.get(address.authority)
        self._wait_for(host)
        try:
            with (
                self._raised_as_ours(address),
                self._pool.stream(
                    method,
                    httpcore.URL(
                        scheme=address.scheme.encode(),
                        host=address.host.encode("ascii"),
                        port=address.port,
                        target=address.target.encode("ascii"),
                    ),
                    headers=_headers(address, headers or {}),
                    content=content or None,
                    extensions={"timeout": _timeouts(limits)},
                ) as response,
            ):
                yield self._answer(address, response, limits)
        finally:
            host.places.release()

    def _answer(self, address: Address, response: httpcore.Response, limits: Limits) -> Answer:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        size = int(text) if (text := headers.get("content-length", "")).isdecimal() else None
        if size is not None and size > limits.bytes:
            raise too_large(limits.bytes)
        return Answer(address, response.status, headers, size, self._limited(response, limits))

    def _limited(self, response: httpcore.Response, limits: Limits) -> Iterator[bytes]:
        total, began = 0, monotonic()
        for chunk in response.iter_stream():
            self._check_stop()
            total += len(chunk)
            if limits.total_s is not None and monotonic() - began > limits.total_s:
                raise too_slow()
            if total > limits.bytes:
                raise too_large(limits.bytes)
            yield chunk

    def _wait_for(self, host: "_Host") -> None:
        while not host.places.acquire(timeout=0.2):
            self._check_stop()
        if (wait := host.turn()) > 0 and self._ended.wait(wait):
            host.places.release()
            raise Stopped

    def _check_stop(self) -> None:
        if self._ended.is_set() or self._should_stop():
            raise Stopped

    @contextmanager
    def _raised_as_ours(self, address: Address) -> Iterator[None]:
        try:
            yield
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            self._check_stop()
            is_false = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args)
            raise (unproved if is_false else no_answer)(address.host) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            self._check_stop()
            raise broke_off() from error


class _Host:
    """How busy a server is with us."""

    def __init__(self, apart_s: float) -> None:
        self.places = BoundedSemaphore(CONNECTIONS_A_HOST)
        self._apart_s = apart_s
        self._lock = Lock()
        self._next = 0.0

    def turn(self) -> float:
        """Seconds until the next request is due."""
        with self._lock:
            due = max(monotonic(), self._next)
            self._next = due + self._apart_s
            return due - monotonic()


class _Hosts:
    def __init__(self, apart_s: float) -> None:
        self._apart_s = apart_s
        self._hosts: dict[str, _Host] = {}
        self._lock = Lock()

    def get(self, authority: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(authority, _Host(self._apart_s))


def _check(answer: Answer) -> None:
    match answer.status:
        case 200 | 206:
            return
        case 404 | 410:
            raise Unfetched("link-nothing-there", f"there is nothing at this address any more ({answer.status})")
        case 401 | 403 | 407:
            raise Unfetched("link-refused", f"the server lets only people in whom it knows ({answer.status})")
        case 416:
            raise Unfetched("link-changed", "what is there has changed", is_passing=True)
        case 429:
            raise Unfetched(
                "link-too-often",
                "the server has had too many requests (429)",
                is_passing=True,
                retry_after_s=_retry_after(answer),
            )
        case status if status >= 500:
            raise Unfetched("link-server-error", f"the server has a problem ({status})", is_passing=True)
        case status:
            raise Unfetched("link-refused", f"the server answers with {status} instead of a file")


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 1.0


def _headers(address: Address, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    own = {"Host": address.authority, "User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    given = {name.lower() for name in more}
    every = {name: value for name, value in own.items() if name.lower() not in given} | dict(more)
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in every.items()]


def _timeouts(limits: Limits) -> dict[str, float]:
    return {"connect": limits.connect_s, "read": limits.idle_s, "write": limits.idle_s, "pool": limits.idle_s}


def _context() -> ssl.SSLContext:
    """The system's authorities, for a house's own ones, and Mozilla's, for systems without any."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
