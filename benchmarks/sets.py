"""Sets of labelled pictures for the suite, and how each is split for a seed.

A set comes from a folder or an archive; archives are extracted once into a cache
folder. The test images of a seed are held back from both sides; the rest is split
as the product splits it.
"""

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.domain.ids import Digest, ImageId
from backend.domain.images import LabelledImage, NamedImage
from backend.domain.labels.rules import FolderRule, LabelRule, PatternRule, parse_rule
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.splitting import RandomSplit, assign_splits
from backend.domain.stratified import Member, Shares, stratified
from backend.training.forecast.work import Counts
from worker.engine.data.folder import FolderBytes, FolderContent, read_folder

VALID: Final = 0.2
"""Share of the images that are not for the test: the product's own."""
TEST: Final = 0.2
DIGITS: Final = "digits"
"""Names scikit-learn's handwritten digits instead of a folder or an archive."""
MOST_TESTED: Final = 2_000
"""Test images at most, where a set is larger than what is learnt from and this."""

KNOWN_PATTERNS: Final[Mapping[str, str]] = {
    "pets": r"/([^/]+)_\d+\.jpg$",
    # Each tile lies beside its mask, a PNG; the class is the second folder above.
    "magnetic_tile": r"/([^/]+)/[^/]+/[^/]+\.jpg$",
}
"""Label patterns of sets that need one; the label of all others is the name of the picture's folder."""
KNOWN_SIZES: Final[Mapping[str, int]] = {"mnist_sample": 500}
"""Images to learn from and validate on, of sets that are cut to so many."""


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Labelled pictures.

    Attributes:
        folder: all paths are relative to it.
        images: each picture once, with its path, ordered by digest.
        size: images for training and validation; None is all but a share of ``TEST``.
    """

    name: str
    folder: Path
    images: tuple[LabelledImage, ...]
    size: int | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label once, in the order of a network's outputs."""
        return tuple(sorted({image.label for image in self.images}))

    @property
    def fingerprint(self) -> str:
        """Changes when a picture or a label does, or how many are learnt from."""
        lines = [f"{image.digest} {image.label}" for image in self.images]
        return hashlib.sha256("\n".join([*lines, str(self.size)]).encode()).hexdigest()[:16]

    def file(self, image: ManifestImage) -> Path:
        """Where a picture lies."""
        return self.folder / image.path

    def content(self, seed: int) -> FolderContent:
        """The split of a seed as a manifest with train, valid and test images, for the engine."""
        splits = assigned(self.images, seed, self.size)
        manifest = Manifest(
            self.classes,
            tuple(
                ManifestImage(
                    ImageId(image.digest[:32]), image.digest, image.paths[0], image.label, splits[image.digest]
                )
                for image in self.images
                if image.digest in splits
            ),
        )
        files = FolderBytes({image.digest: self.folder / image.paths[0] for image in self.images})
        return FolderContent(manifest, files, (), ())

    def counts(self, seed: int) -> Counts:
        """Pictures of a seed's split that are trained and validated on."""
        splits = Counter(assigned(self.images, seed, self.size).values())
        return Counts(splits[Split.TRAIN], splits[Split.VALID], 0)

    def lists(self, seed: int) -> dict[Split, list[tuple[str, str]]]:
        """The same split as lists of (file, label)."""
        manifest = self.content(seed).manifest
        return {
            split: [(str(self.file(image)), image.label) for image in manifest.of(split)]
            for split in (Split.TRAIN, Split.VALID, Split.TEST)
        }


def prepare(
    source: Path | str, cache: Path, *, name: str = "", pattern: str | None = None, size: int | None = None
) -> PictureSet:
    """A folder, an archive (zip, tar, tgz) or ``DIGITS`` as a set of labelled pictures.

    Args:
        source: where the pictures are.
        cache: archives are extracted into a folder of it, once.
        name: what the set is called; else the source's name without its ending.
        pattern: regular expression (RE2) on '/' + path, whose group 1 is the label; pictures without are left out.
        size: images for training and validation, the rest up to ``MOST_TESTED`` being for the test; None is all.

    Raises:
        FileNotFoundError: there is no such folder or archive.
        shutil.ReadError: the file is no archive.
        InvalidInput: the pattern can't be used on these pictures.
    """
    name = name or Path(source).name.partition(".")[0]
    folder = drawn_digits(cache / DIGITS) if str(source) == DIGITS else _folder(Path(source), cache)
    pattern = pattern or KNOWN_PATTERNS.get(name)
    rule: LabelRule = parse_rule(PatternRule(pattern=pattern) if pattern else FolderRule())
    # Only the labels and digests are used; the splits are each seed's own.
    found = read_folder(folder, rule, RandomSplit()).manifest.images
    images = tuple(NamedImage(image.digest, image.label, (image.path,)) for image in found)
    return PictureSet(name, folder.resolve(), images, size or KNOWN_SIZES.get(name))


def assigned(images: Sequence[LabelledImage], seed: int, size: int | None = None) -> dict[Digest, Split]:
    """Split of each image that takes part: first the test images are held back, then the product splits the rest.

    With a ``size``, so many images are not for the test, and of the others ``MOST_TESTED`` are at most.
    """
    if size is None or size >= len(images):
        test = _share(images, TEST, seed)
    else:
        others = {image.digest for image in images} - _share(images, size / len(images), seed)
        wanted = min(1.0, MOST_TESTED / len(others))
        test = others if wanted == 1 else _share([image for image in images if image.digest in others], wanted, seed)
        images = [image for image in images if image.digest not in others or image.digest in test]
    rest = [image for image in images if image.digest not in test]
    return {**assign_splits(rest, RandomSplit(valid=VALID, seed=seed)).splits, **dict.fromkeys(test, Split.TEST)}


def _share(images: Iterable[LabelledImage], share: float, seed: int) -> set[Digest]:
    """That share of every class."""
    members = [Member(image.digest, image.label, image.digest) for image in images]
    # Another ranking than the product's of the same seed, so that the two draws are independent.
    seed = random.Random(seed).getrandbits(32)
    dealt = stratified(members, Shares(valid=share, test=0.0, seed=seed))
    return {digest for digest, split in dealt.items() if split is Split.VALID}


def _folder(source: Path, cache: Path) -> Path:
    """The folder itself, or the one that the archive was extracted to."""
    if source.is_dir():
        return source
    status = source.stat()
    # An archive that was replaced by another of its name is extracted anew.
    target = cache / f"{source.name}-{status.st_size}-{int(status.st_mtime)}"
    if not target.exists():
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        # tarfile's own filter refuses what would be written outside the folder.
        shutil.unpack_archive(source, partial, filter=None if source.suffix == ".zip" else "data")
        partial.rename(target)
    return target


def drawn_digits(folder: Path) -> Path:
    """scikit-learn's 1,797 handwritten digits as PNG files of 8 x 8 pixels, a folder for each class."""
    if folder.exists():
        return folder
    from PIL import Image
    from sklearn.datasets import load_digits

    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        file = partial / str(label) / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * (255 / 16)).round().astype("uint8")).save(file)
    partial.rename(folder)
    return folder
