"""Connections that go only where they may: the address that was checked is the one that is dialled."""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Final
from weakref import WeakSet

import httpcore
from httpcore import SOCKET_OPTION, NetworkBackend, NetworkStream, SyncBackend

from backend.outbound.errors import not_public, too_slow
from backend.outbound.networks import IpAddress, Reach

Resolve = Callable[[str, int], Sequence[str]]
"""The IP addresses of a host's name, as text. Raises OSError: it has none."""
CONNECT_S: Final = 10.0
MOST_TRIED: Final = 4
"""Addresses of one name that are dialled before giving up."""


def resolve(host: str, port: int) -> list[str]:
    """The system's answer, each address once, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a server may send: at least ``least`` bytes a second, over ``window_s`` of waiting for it."""

    window_s: float = 30.0
    least: int = 1_000


class CheckedBackend(NetworkBackend):
    """Resolves a name once, checks every address, dials one of those, and checks whom it has reached."""

    def __init__(self, reach: Reach, resolve: Resolve, pace: Pace) -> None:
        self._reach, self._resolve, self._pace = reach, resolve, pace
        self._dialler = SyncBackend()
        self._open = _OpenStreams()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """A connection to ``host``. TLS on top of it asks for the host's name, which httpcore passes on.

        Raises:
            Unfetched: it isn't public, or doesn't exist.
            httpcore.ConnectError, httpcore.ConnectTimeout
        """
        until = monotonic() + (timeout or CONNECT_S)
        failure: Exception = httpcore.ConnectTimeout("no time left")
        for address in self._checked(host, port)[:MOST_TRIED]:
            if (left := until - monotonic()) <= 0:
                break
            try:
                # A number, so nothing is resolved a second time.
                stream = self._dialler.connect_tcp(str(address), port, left, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return self._checked_stream(stream, host, address)
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SOCKET_OPTION] | None = None
    ) -> NetworkStream:
        """Never: an address of a person names no file."""
        raise not_public(path)

    def abort(self) -> None:
        """End all connections, so that whoever reads from one stops at once; new ones are refused."""
        self._open.abort()

    def _checked(self, host: str, port: int) -> list[IpAddress]:
        try:
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError):
            raise not_public(host) from None
        if not found or not all(self._reach.allows(address) for address in found):
            raise not_public(host)
        return found

    def _checked_stream(self, stream: NetworkStream, host: str, address: IpAddress) -> NetworkStream:
        try:
            peer = ipaddress.ip_address(str(stream.get_extra_info("server_addr")[0]).partition("%")[0])
            if peer != address or not self._reach.allows(peer):
                raise not_public(host)
            return _Stream(stream, self._open, self._pace)
        except BaseException:
            stream.close()
            raise


class _OpenStreams:
    """The connections of a client, so that all of them can be ended from another thread."""

    def __init__(self) -> None:
        self._streams: WeakSet[_Stream] = WeakSet()
        self._lock = Lock()
        self._is_closed = False

    def add(self, stream: "_Stream") -> None:
        with self._lock:
            if self._is_closed:
                raise httpcore.ConnectError("closed")
            self._streams.add(stream)

    def abort(self) -> None:
        with self._lock:
            self._is_closed = True
            streams = list(self._streams)
        for stream in streams:
            with suppress(OSError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class _Stream(NetworkStream):
    """A connection that must send fast enough and can be ended from another thread, with TLS or without."""

    def __init__(self, stream: NetworkStream, open_streams: _OpenStreams, pace: Pace) -> None:
        self._stream, self._open, self._pace = stream, open_streams, pace
        self._waited_s, self._read = 0.0, 0
        open_streams.add(self)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        began = monotonic()
        content = self._stream.read(max_bytes, timeout)
        # Time that we take ourselves, such as for writing to a disk, isn't the server's.
        self._waited_s += monotonic() - began
        self._read += len(content)
        if self._waited_s > self._pace.window_s:
            if self._read < self._pace.least * self._waited_s:
                raise too_slow()
            self._waited_s, self._read = 0.0, 0
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._waited_s, self._read = 0.0, 0
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._open, self._pace)

    def get_extra_info(self, info: str) -> Any:  # Any: as httpcore declares it
        return self._stream.get_extra_info(info)
