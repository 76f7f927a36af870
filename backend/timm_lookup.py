"""Networks of the library timm, looked up by their names; found out by a process of its own, and kept on disk."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from pydantic import TypeAdapter, ValidationError

from backend.domain.architectures import Architecture, PretrainedWeights
from backend.domain.errors import Unavailable
from backend.domain.json import Json

log = logging.getLogger(__name__)

_MODULE: Final = "worker.engine.network.describe"
_FORMAT: Final = 2
"""Raised when descriptions have further facts, so that older ones are made anew."""
_TIMEOUT_S: Final = 180.0
_ENTRY: Final[TypeAdapter[Architecture]] = TypeAdapter(Architecture)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_]*(\.[a-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Listed:
    """A network as the list of all has it.

    Attributes:
        family: timm's name for its kind, such as ``convnext``.
        license: its weights'; empty where timm doesn't know.
        is_default: whether it is what its name without the weights' stands for.
    """

    name: str
    family: str
    default_image_size: int
    license: str
    weights: PretrainedWeights
    is_default: bool


_LISTED: Final[TypeAdapter[list[Listed]]] = TypeAdapter(list[Listed])


class NetworksUnknown(Unavailable):
    """The process that describes timm's networks didn't answer."""

    code = "networks-unknown"

    def __init__(self) -> None:
        super().__init__(
            "The library of further networks didn't answer.",
            advice="Try again in a minute, or choose one of the models in the list.",
        )


class TimmLookup:
    """All networks that timm has pretrained weights for.

    Args:
        folder: where the descriptions are kept, by timm's version: another version may build other networks.
        describe: describes the network of one name, or without a name lists all.
    """

    def __init__(self, folder: Path, describe: "Describe | None" = None) -> None:
        self._folder = folder / f"timm-{_timm_version()}-{_FORMAT}"
        self._describe = describe or _describe
        self._describing = threading.Lock()
        self._entries: dict[str, Architecture | None] = {}

    def named(self, name: str, weights: str | None = None) -> Architecture | None:
        """The network of a name with or without its weights' (``convnext_tiny.in12k``); None where there is none.

        Raises:
            NetworksUnknown
        """
        name = name.strip().lower()
        for tried in (f"{name}.{weights}", name) if weights and "." not in name else (name,):
            if whole := self._whole_name(tried):
                return self._entry(whole)
        return None

    def names(self) -> Sequence[str]:
        """All names, each with its weights'.

        Raises:
            NetworksUnknown
        """
        return [one.name for one in self.all]

    def search(self, words: str, limit: int) -> list[Listed]:
        """Networks whose name or family has all these words, those that begin with the first one before others."""
        wanted = words.lower().replace("-", "_").split()
        found = [one for one in self.all if all(word in one.name or word in one.family for word in wanted)]
        first = wanted[0] if wanted else ""
        return sorted(found, key=lambda one: (not one.name.startswith(first), not one.is_default))[:limit]

    def described(self, name: str) -> Architecture | None:
        """The entry where it is known already; None where a process would have to describe it first."""
        return self._entries.get(name) or self._kept(name)

    @cached_property
    def all(self) -> list[Listed]:
        """The list, in timm's order."""
        kept: Mapping[str, Json] | None = _read(self._folder / "names.json")
        if kept is None:
            kept = self._describe()
            _write(self._folder / "names.json", kept)
        return _LISTED.validate_python(kept["names"])

    @cached_property
    def _by_name(self) -> dict[str, str]:
        """The whole name of each, and of each name without the weights'."""
        bare = {one.name.partition(".")[0]: one.name for one in self.all if one.is_default}
        return bare | {one.name: one.name for one in self.all}

    def _whole_name(self, name: str) -> str | None:
        return self._by_name.get(name) if _NAME.fullmatch(name) else None

    def _entry(self, name: str) -> Architecture | None:
        if name not in self._entries:
            with self._describing:  # one process at a time: each takes a core for seconds
                if name not in self._entries:
                    self._entries[name] = self._kept(name) or self._described_anew(name)
        return self._entries[name]

    def _kept(self, name: str) -> Architecture | None:
        kept = _read(self._folder / f"{name}.json")
        try:
            return _ENTRY.validate_python(kept["entry"]) if kept else None
        except (KeyError, ValidationError):
            return None

    def _described_anew(self, name: str) -> Architecture | None:
        answer = self._describe(name)
        if "entry" not in answer:
            log.info("timm's %s can't be used: %s", name, answer["unusable"])
            return None
        _write(self._folder / f"{name}.json", answer)
        return _ENTRY.validate_python(answer["entry"])


def _timm_version() -> str:
    try:
        return version("timm")
    except PackageNotFoundError:
        return "none"


Describe = Callable[..., Mapping[str, Json]]


@cache
def _describe(*names: str) -> Mapping[str, Json]:
    """The process's output; it runs once for a name as long as this process lives."""
    command = [sys.executable, "-m", _MODULE, *names]
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True, cwd=root)
        answer: dict[str, Json] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("timm's networks can't be described: %s %s", error, getattr(error, "stderr", b"")[-2000:])
        raise NetworksUnknown from error
    return answer


def _read(file: Path) -> dict[str, Json] | None:
    try:
        content: dict[str, Json] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return content


def _write(file: Path, content: Mapping[str, Json]) -> None:
    """Keep an answer, whole or not at all; a full disk only means describing it again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent, suffix=".partial", delete=False, encoding="utf-8") as partial:
            json.dump(content, partial)
        Path(partial.name).replace(file)
    except OSError as error:
        log.warning("%s can't be kept: %s", file.name, error)
