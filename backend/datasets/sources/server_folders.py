"""Folders of the server below those that ``TELLAPART_IMPORT_ROOTS`` names; nothing outside of them is ever opened."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from backend.datasets.import_queue.lists import MOST, kept_list
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile
from backend.datasets.sources.errors import FolderUnusable, SourceTooLarge
from backend.domain.ids import Digest
from backend.domain.images import is_junk
from backend.domain.json import Json
from backend.imaging.errors import Refused
from backend.storage.base import Storage

MOST_SHOWN: Final = 500
"""Folders that are listed of one folder."""
MOST_LOOKED_AT: Final = 20_000
"""Entries of a folder that are looked at to list it."""
_MOST_COUNTED: Final = 1_000
"""Entries of each folder within it that are looked at, to say how many files it has."""
_GONE: Final = Refused("server-file-unreadable", "it is gone, or the server may not read it")
_NOT_A_FILE: Final = Refused("server-file-not-a-file", "it is a link that leads elsewhere, or no ordinary file")


@dataclass(frozen=True, slots=True)
class ServerFolder:
    """A folder that can be imported from.

    Attributes:
        path: how it is named in a request.
        files: ordinary files directly in it; at least so many, where it has very many entries.
    """

    path: str
    name: str
    files: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder.

    Attributes:
        here: the folder; None for the list of roots.
        parents: the folders above it that may be seen, the outermost first.
        has_more: whether there are more folders than are listed.
    """

    here: ServerFolder | None
    parents: Sequence[ServerFolder]
    folders: Sequence[ServerFolder]
    has_more: bool = False


class ServerFolders:
    """The folders of the server that people may import from. A path that leaves them is like one that doesn't exist."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = {str(root): Path(os.path.realpath(root)) for root in roots}

    @property
    def has_roots(self) -> bool:
        """Whether there is any."""
        return bool(self._roots)

    def listing(self, path: str = "") -> Listing:
        """The folders in a folder; without a path, the roots.

        Raises:
            FolderUnusable
        """
        if not path:
            roots = [_described(name, real) for name, real in self._roots.items() if real.is_dir()]
            return Listing(None, (), roots)
        root, inner = self._split(path)
        shown = _joined(root, inner)
        folders, files, has_more = [], 0, False
        with closing(_Opened(self._roots[root], inner)) as folder:
            for number, entry in enumerate(os.scandir(folder.descriptor)):
                has_more = has_more or number >= MOST_LOOKED_AT
                if has_more:
                    break
                if is_junk(entry.name):
                    continue
                files += entry.is_file(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
        names = sorted(folders, key=str.casefold)
        below = [
            _described(_joined(root, (*inner, name)), self._roots[root], (*inner, name)) for name in names[:MOST_SHOWN]
        ]
        parents = [
            ServerFolder(_joined(root, inner[:depth]), inner[depth - 1] if depth else Path(root).name or root, 0)
            for depth in range(len(inner))
        ]
        here = ServerFolder(shown, Path(shown).name or shown, files)
        return Listing(here, parents, below, has_more or len(names) > MOST_SHOWN)

    def checked(self, path: str) -> str:
        """A folder's path as it is kept. Raises FolderUnusable."""
        root, inner = self._split(path)
        with closing(_Opened(self._roots[root], inner)):
            return _joined(root, inner)

    def walk(self, path: str) -> Iterator[str]:
        """Paths of all files in a folder and those below, relative to it, in the same order each time.

        Raises:
            FolderUnusable
            SourceTooLarge: there are too many.
        """
        root, inner = self._split(path)
        with closing(_Opened(self._roots[root], inner)) as top:
            count = 0
            # Descriptors instead of names: a folder that is swapped for a link meanwhile isn't followed.
            for folder, folders, files, _ in os.fwalk(".", dir_fd=top.descriptor, follow_symlinks=False):
                folders[:] = sorted(name for name in folders if not is_junk(name))
                for name in sorted(files):
                    count += 1
                    if count > MOST:
                        raise SourceTooLarge("this folder", MOST)
                    yield str(Path(folder, name))

    def read(self, path: str, file: str) -> bytes | Refused:
        """A file's bytes, one more than is taken at most; or why it can't be read."""
        root, inner = self._split(path)
        parts = (*inner, *Path(file).parts)
        try:
            with closing(_Opened(self._roots[root], parts[:-1])) as folder:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(parts[-1], flags, dir_fd=folder.descriptor)
                with os.fdopen(descriptor, "rb") as content:
                    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                        return _NOT_A_FILE
                    return content.read(MAX_FILE_BYTES + 1)
        except (OSError, FolderUnusable):
            return _NOT_A_FILE if self._is_link(root, parts) else _GONE

    def _is_link(self, root: str, parts: Sequence[str]) -> bool:
        with suppress(OSError):
            return self._roots[root].joinpath(*parts).is_symlink()
        return False

    def _split(self, path: str) -> tuple[str, tuple[str, ...]]:
        """The root that a path is below, and the rest of it; the longest root counts."""
        if "\0" in path:
            raise FolderUnusable(self.has_roots)
        wanted = Path(path)
        for root in sorted(self._roots, key=len, reverse=True):
            if wanted.is_relative_to(root):
                inner = wanted.relative_to(root).parts
                if ".." in inner:
                    break
                return root, self._real(root, inner)
        raise FolderUnusable(self.has_roots)

    def _real(self, root: str, inner: Sequence[str]) -> tuple[str, ...]:
        """Links on the way are followed as long as they stay below the root."""
        real = Path(os.path.realpath(self._roots[root].joinpath(*inner)))
        if not real.is_relative_to(self._roots[root]):
            raise FolderUnusable(self.has_roots)
        return real.relative_to(self._roots[root]).parts


class _Opened:
    """A folder that was opened part by part, none of them a link, so that it is where its name says."""

    def __init__(self, root: Path, parts: Sequence[str]) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self.descriptor = -1
        try:
            self.descriptor = os.open(root, flags)
            for part in parts:
                if part in ("", ".", ".."):
                    raise ValueError(part)
                inner = os.open(part, flags, dir_fd=self.descriptor)
                self.close()
                self.descriptor = inner
        except (OSError, ValueError):
            self.close()
            raise FolderUnusable(has_roots=True) from None

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _described(path: str, root: Path, inner: Sequence[str] = ()) -> ServerFolder:
    files = 0
    # A folder that was swapped for a link meanwhile, or may not be read, is shown as an empty one.
    with (
        suppress(OSError, FolderUnusable),
        closing(_Opened(root, inner)) as folder,
        os.scandir(folder.descriptor) as entries,
    ):
        for entry in islice(entries, _MOST_COUNTED):
            files += not is_junk(entry.name) and entry.is_file(follow_symlinks=False)
    return ServerFolder(path, Path(path).name or path, files)


def _joined(root: str, inner: Sequence[str]) -> str:
    return str(Path(root, *inner))


class FolderFiles:
    """The files of a folder of the server, by the list that was made when the import began."""

    name_encoding = None

    def __init__(self, folders: ServerFolders, storage: Storage, source: Json) -> None:
        self.entries = int(source["entries"])
        self._folders, self._storage = folders, storage
        self._path, self._digest = str(source["path"]), Digest(source["digest"])

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The files after the first ``skip``, with the chosen folder's name in front, as a browser sends a folder."""
        front = Path(self._path).name
        for _, file in kept_list(self._storage, self._digest, skip):
            # Hidden files and those of systems are only counted.
            content = b"" if is_junk(file) else self._folders.read(self._path, file)
            name = f"{front}/{file}" if front else file
            yield IncomingFile(name, refused=content) if isinstance(content, Refused) else IncomingFile(name, content)
