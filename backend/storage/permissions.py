"""Who may read what we keep on disk: pictures, models and hashes of keys are for the server's own user only."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter, or close one that others may.

    A folder for everybody, such as /tmp, stays as it is, and so does one that belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = folder.stat().st_mode
    if mode & 0o077 and not mode & stat.S_ISVTX:
        with suppress(PermissionError):
            folder.chmod(0o700)


def make_private_file(file: Path) -> None:
    """Create an empty file that only its owner may read, or close one that others may."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if file.stat().st_mode & 0o077:
        with suppress(PermissionError):
            file.chmod(0o600)
