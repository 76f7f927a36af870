"""Where each picture of a version lies in its export: ImageFolder, ``split/class/file``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from backend.datasets.version_repository import VersionFile
from backend.domain.images import is_item_name
from backend.domain.safe_names import SafeNames

_SUFFIXES: Final[Mapping[str, str]] = {"JPEG": ".jpg", "TIFF": ".tif", "HEIF": ".heic", "TRACK": ".csv"}
"""Endings of formats that aren't called by their own; for files that came without one."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture with the name that it has in the export."""

    picture: VersionFile
    file: str


def class_folders(classes: Sequence[str]) -> dict[str, str]:
    """The folder of each class, by its name; classes that aren't folders' names get safe ones."""
    names = SafeNames()
    return {name: names.safe(name, fallback="class") for name in classes}


def placed(files: Iterable[VersionFile], folders: Mapping[str, str]) -> list[Placed]:
    """Every picture with its place; the same version gives the same places, whatever the order of upload was."""
    used: dict[str, SafeNames] = {}
    found = []
    for picture in sorted(files, key=lambda one: one.digest):
        folder = f"{picture.split}/{folders[picture.label]}"
        stem, suffix = _parts(picture)
        found.append(Placed(picture, f"{folder}/{used.setdefault(folder, SafeNames()).safe(stem, suffix)}"))
    return sorted(found, key=lambda one: one.file)


def _parts(picture: VersionFile) -> tuple[str, str]:
    name = picture.path.rpartition("/")[2]
    if is_item_name(name):
        suffix = PurePosixPath(name).suffix
        return name.removesuffix(suffix), suffix
    return name, _SUFFIXES.get(picture.format, f".{picture.format.lower()}")
