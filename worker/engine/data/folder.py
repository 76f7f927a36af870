"""A folder of pictures as a manifest, for training from a shell."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from backend.domain.drawn import Drawn, most_are
from backend.domain.ids import Digest, ImageId
from backend.domain.images import PICTURE_SUFFIXES, SOUND_SUFFIXES, NamedImage, is_junk
from backend.domain.labels.rules import LabelRule, apply_rule
from backend.domain.manifest import Manifest, ManifestImage
from backend.domain.splitting import SplitSpec, assign_splits
from backend.imaging.drawn.tracks import is_track

# A fixed list: Python's own table of types depends on the machine.
SUFFIXES: Final = PICTURE_SUFFIXES | SOUND_SUFFIXES
_MAYBE_TRACKS: Final = frozenset({".csv", ".tsv", ".txt"})
_HEAD: Final = 4096
"""Bytes that tell whether a table is one of a movement."""


@dataclass(frozen=True, slots=True)
class FolderBytes:
    """Opens the images of a folder by their digest."""

    files: dict[Digest, Path]

    def __call__(self, digest: Digest) -> bytes:
        return self.files[digest].read_bytes()


@dataclass(frozen=True, slots=True)
class FolderContent:
    """A folder's labelled images, and what of it is left out.

    Attributes:
        unlabelled: paths to which the rule gives no label.
        contradicting: paths of copies of one picture that have different labels.
    """

    manifest: Manifest
    open_bytes: FolderBytes
    unlabelled: tuple[str, ...]
    contradicting: tuple[str, ...]

    @property
    def drawn(self) -> Drawn | None:
        """What most of them are drawn from."""
        return most_are(_drawn_from(image.path) for image in self.manifest.images)


def read_folder(folder: Path, rule: LabelRule, split: SplitSpec) -> FolderContent:
    """Label and split all images below a folder. Copies of a picture count once.

    Raises:
        InvalidInput: the rule or the split can't be used on these images.
    """
    paths = sorted(_image_paths(folder))
    labelling = apply_rule(rule, paths)
    paths_of: dict[Digest, list[str]] = defaultdict(list)
    for path in labelling.labels:
        paths_of[_digest(folder / path)].append(path)
    labels_of = {digest: {labelling.labels[path] for path in same} for digest, same in paths_of.items()}
    images = [
        NamedImage(digest, labels.pop(), tuple(paths_of[digest]))
        for digest, labels in sorted(labels_of.items())
        if len(labels) == 1
    ]
    splits = assign_splits(images, split).splits
    known = {image.digest for image in images}
    return FolderContent(
        manifest=Manifest(
            classes=tuple(sorted({image.label for image in images})),
            images=tuple(
                ManifestImage(
                    ImageId(image.digest[:32]), image.digest, image.paths[0], image.label, splits[image.digest]
                )
                for image in images
                if image.digest in splits
            ),
        ),
        open_bytes=FolderBytes({digest: folder / same[0] for digest, same in paths_of.items()}),
        unlabelled=labelling.unlabelled,
        contradicting=tuple(path for digest, same in paths_of.items() if digest not in known for path in same),
    )


def _image_paths(folder: Path) -> list[str]:
    files = ((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*"))
    return [path for path, file in files if not is_junk(path) and file.is_file() and _is_item(file)]


def _is_item(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix not in _MAYBE_TRACKS:
        return suffix in SUFFIXES
    with file.open("rb") as content:
        return is_track(content.read(_HEAD))


def _drawn_from(path: str) -> Drawn | None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in SOUND_SUFFIXES:
        return Drawn.SOUND
    return Drawn.TRACK if suffix in _MAYBE_TRACKS else None


def _digest(file: Path) -> Digest:
    with file.open("rb") as content:
        return Digest(hashlib.file_digest(content, "sha256").hexdigest())
