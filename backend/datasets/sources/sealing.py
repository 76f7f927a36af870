"""Keys that a person gives for one import: unreadable in the database and its backups, and gone when the import ends.

They wait in the import's row, encrypted. The key for that lies as a file beside the pictures, readable by the server's
user only, so neither the database nor the storage alone is enough.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from backend.storage.base import Storage


class Unsealable(Exception):
    """What was sealed can't be opened: the file of the key was lost or replaced."""


def seal(storage: Storage, secrets: Mapping[str, str]) -> str:
    """``secrets`` as text that only this server can read."""
    return Fernet(_key(storage)).encrypt(json.dumps(dict(secrets)).encode()).decode("ascii")


def unseal(storage: Storage, sealed: str) -> dict[str, str]:
    """What was sealed. Raises Unsealable."""
    try:
        opened: dict[str, str] = json.loads(Fernet(_key(storage)).decrypt(sealed))
    except (InvalidToken, ValueError) as error:
        raise Unsealable from error
    return opened


def _key(storage: Storage) -> bytes:
    file = storage.folder("keys", "imports") / "key"
    with suppress(FileNotFoundError):
        return file.read_bytes()
    made = file.with_name(f"key.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(Fernet.generate_key())
    _name_once(made, file)
    return file.read_bytes()


def _name_once(made: Path, file: Path) -> None:
    """Of several processes that make a key at once, the first one's is everybody's."""
    with suppress(FileExistsError):
        os.link(made, file)
    made.unlink(missing_ok=True)
