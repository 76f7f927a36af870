"""``tellapart serve``: all processes of a server on one machine, started, watched and ended together.

This process does no work itself. It opens the port, migrates, and starts the web
server, the worker and, where no Redis is configured, an embedded Valkey; each that dies
is started again. The port stays open meanwhile, so that a browser waits instead of
being refused.
"""

import fcntl
import gc
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import httpx
import typer
import uvicorn

from backend import log, migrations
from backend.accounts.links import create_link, sign_in_address
from backend.accounts.tokens import ensure_owner_token
from backend.children import Child, end_all
from backend.db.session import Database
from backend.domain.errors import AppError, Conflict, InvalidInput
from backend.embedded import find_valkey
from backend.settings import Settings, load
from backend.storage.permissions import make_private_folder

GRACE_S: Final = 8.0
"""From Ctrl-C to the end of the last process; a training keeps its finished epochs."""
SLOW_START_S: Final = 20.0
# File systems on which SQLite's locks don't hold.
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "fuse.sshfs", "fuse.s3fs"}
)


class NeedsToken(InvalidInput):
    """Others could reach the server, and no key of the owner's choice protects it."""

    code = "token-needed"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"TELLAPART_HOST is {host}, so that other machines could reach this server, but no key protects it.",
            advice="Set TELLAPART_TOKEN to a secret of 16 characters or more, or leave TELLAPART_HOST at 127.0.0.1.",
        )


class PortInUse(Conflict):
    """Another program listens where we would."""

    code = "port-in-use"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Tellapart can't listen on {host}, port {port}: {reason}.",
            advice="End the program that uses it, perhaps another Tellapart, or choose another port: "
            f"TELLAPART_PORT={port + 1 if port < 65535 else port - 1}.",
        )


class DataInUse(Conflict):
    """Another server works on this data folder."""

    code = "data-in-use"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another Tellapart is running on the data folder {folder}.",
            advice="End that one first, or give this one a folder of its own with TELLAPART_DATA.",
        )


class NetworkFolder(InvalidInput):
    """SQLite on a network file system loses data."""

    code = "network-folder"

    def __init__(self, folder: Path, file_system: str) -> None:
        super().__init__(
            f"The data folder {folder} lies on a network file system ({file_system}), where SQLite loses data.",
            advice="Choose a folder on a local disk with TELLAPART_DATA, or set DATABASE_URL to a PostgreSQL server.",
        )


class DidNotStart(AppError):
    """A part ended at once, and has said why."""

    def __init__(self, title: str) -> None:
        super().__init__(f"{title} could not start; the reason stands above.")


def serve(settings: Settings, *, with_worker: bool = True) -> None:
    """Run until Ctrl-C or SIGTERM.

    Raises:
        AppError: it can't start as it is configured; the message says what to change.
    """
    _refuse_open_door(settings)
    make_private_folder(settings.data)
    with ExitStack() as stack:
        if settings.database_url is None:
            _refuse_network_folder(settings.data)
            stack.enter_context(_only_server_on(settings.data))
        listener = stack.enter_context(_listening(settings))
        stop = stack.enter_context(_stop_signals())
        migrations.upgrade(settings.sql_url)
        secret = _owner_secret(settings)
        processes = _processes(settings, listener, with_worker=with_worker)
        try:
            _watch(processes, settings, secret, stop)
        finally:
            _say("Ending.")
            end_all(processes.started, grace_s=GRACE_S, hurry=lambda: stop.count > 1)


class _Stop:
    """How often we were asked to end; the second time means at once."""

    count = 0

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1


def _refuse_open_door(settings: Settings) -> None:
    if settings.token is None and not _is_loopback(settings.host):
        raise NeedsToken(settings.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_network_folder(folder: Path) -> None:
    file_system = file_system_of(folder)
    if file_system in _NETWORK_FILE_SYSTEMS:
        raise NetworkFolder(folder, file_system)


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Kind of the file system that ``folder`` lies on, such as ``ext4``; empty where the system doesn't say."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    folder = folder.resolve()
    found = Path(), ""
    for line in lines:
        place, _, kind = line.partition(" - ")
        point = Path(place.split(" ")[4].replace("\\040", " "))
        # Of several on the same point the last one covers the others.
        if folder.is_relative_to(point) and len(point.parts) >= len(found[0].parts):
            found = point, kind.split(" ")[0]
    return found[1]


@contextmanager
def _only_server_on(folder: Path) -> Iterator[None]:
    with (folder / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataInUse(folder) from error
        yield


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The open port; it is handed to the web server, and to its successor if it dies."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        raise PortInUse(settings.host, settings.port, error.strerror or str(error)) from error
    with listener:
        yield listener


@contextmanager
def _stop_signals() -> Iterator[_Stop]:
    stop = _Stop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, stop) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _owner_secret(settings: Settings) -> str | None:
    database = Database(settings.sql_url)
    try:
        return ensure_owner_token(database, settings)
    finally:
        database.dispose()


@dataclass(frozen=True, slots=True)
class _Processes:
    """What is started: the front first; the worker then, or it would only slow the front's start down."""

    front: Sequence[Child]
    back: Sequence[Child]

    @property
    def all(self) -> Sequence[Child]:
        return [*self.front, *self.back]

    @property
    def started(self) -> Sequence[Child]:
        return [child for child in self.all if child.was_started]

    def start_rest(self) -> None:
        for child in self.all:
            if not child.was_started:
                child.start()


def _processes(settings: Settings, listener: socket.socket, *, with_worker: bool) -> _Processes:
    environment = _environment(settings)
    front, back = [], []
    if settings.redis_url is None and with_worker and (valkey := find_valkey(settings.data / "run")):
        front.append(Child("The message broker (Valkey)", valkey.command, os.environ))
        environment["REDIS_URL"] = valkey.url
    descriptor = listener.fileno()
    web = (sys.executable, "-m", "backend.serve", str(descriptor))
    front.append(Child("The web server", web, environment, (descriptor,)))
    if with_worker:
        back.append(Child("The worker", (sys.executable, "-m", "worker"), environment))
    return _Processes(front, back)


def _environment(settings: Settings) -> dict[str, str]:
    """Ours, with what was settled here, so that every process works on the same data."""
    settled = {
        "TELLAPART_DATA": str(settings.data),
        "TELLAPART_HOST": settings.host,
        "TELLAPART_PORT": str(settings.port),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
    }
    return {**os.environ, **{name: value for name, value in settled.items() if value is not None}}


def _watch(processes: "_Processes", settings: Settings, secret: str | None, stop: _Stop) -> None:
    """Start all, say once that the web server answers, and keep them alive until asked to end."""
    started_at = time.monotonic()
    is_ready = False
    for child in processes.front:
        child.start()
    while stop.count == 0:
        for child in processes.started:
            if not is_ready and child.was_refused:
                raise DidNotStart(child.title)
            child.look_after(_say)
        if not is_ready and _answers(settings):
            is_ready = True
            _welcome(settings, secret)
            processes.start_rest()
        elif len(processes.started) < len(processes.all) and time.monotonic() - started_at > SLOW_START_S:
            _say("The start takes unusually long. If nothing follows, see what is written above.")
            processes.start_rest()
        time.sleep(0.1)


def _answers(settings: Settings) -> bool:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    try:
        with httpx.Client(trust_env=False, timeout=1.0) as client:
            answer = client.get(f"http://{_in_brackets(host)}:{settings.port}{settings.root_path}/readyz")
    except httpx.HTTPError:
        return False
    return answer.is_success


def _welcome(settings: Settings, secret: str | None) -> None:
    if secret is None:
        address = sign_in_address(settings)
        _say(f"\nTellapart is ready. Open this address in your browser:\n\n    {address}\n")
        _say("Sign in with the key in TELLAPART_TOKEN.")
    else:
        _say(f"\nTellapart is ready. Open this link in your browser:\n\n    {_link(settings)}\n")
        _say("It works once, within an hour; `tellapart link` makes another.")
        _say(f"The owner's key, for later and for programs: {secret}")
    _say(f"All data are kept in {settings.data}. Ctrl-C stops the server.")


def _link(settings: Settings) -> str:
    database = Database(settings.sql_url)
    try:
        return create_link(database, settings)
    finally:
        database.dispose()


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(text: str) -> None:
    """Print, if anybody can read it: a full disk behind our output, or a closed window, must not end the server."""
    with suppress(OSError):
        typer.echo(text)
        sys.stdout.flush()


def run_web(descriptor: int) -> None:
    """The web server: what the child process does, on the port that its parent opened."""
    # Only the child needs them; the parent starts, and restarts, the faster without.
    from backend.app import create_app
    from backend.connections import LimitedProtocol, allow_many_files
    from backend.ledger.celery_notifier import CeleryNotifier
    from backend.ledger.unit_of_work import NoNotifier

    log.configure()
    allow_many_files()
    settings = load()
    config = uvicorn.Config(
        create_app(settings, notifier=CeleryNotifier(settings.redis_url) if settings.redis_url else NoNotifier()),
        http=LimitedProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=settings.proxies is not None,
        forwarded_allow_ips=settings.proxies or "",
        server_header=False,
        # Event streams end with the process; browsers connect again by themselves.
        timeout_graceful_shutdown=3,
    )
    # After an orderly end uvicorn raises the signal again; by default that would cut off what is still to be closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # What start-up made stays until the end. Each full collection of garbage would look at all of it again, and let
    # every request wait meanwhile, for 100 to 200 ms.
    gc.freeze()
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    run_web(int(sys.argv[1]))
