"""Ten shortcuts, each planted into one class or side of a clean set: is it found, and what is said without any?"""

import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from backend.datasets.health.picture import Measured, Picture
from backend.datasets.health.shortcuts import Shortcut, shortcuts
from backend.datasets.health.traits import trait_columns
from backend.domain.json import Json
from backend.imaging.tasks import read_image
from benchmarks.sets import PictureSet

MOST: Final = 600
"""Clean pictures of a set; fewer would leave too few of each class."""
_OFTEN: Final = 10
_ORIENTATION, _MODEL = 0x0112, 0x0110
_HELD_OUT: Final = 0.25
Change = Callable[[Image.Image], bytes]


def measure_shortcuts(one: PictureSet, seed: int) -> list[dict[str, Json]]:
    """A row for each planted shortcut, and one for the set as it is."""
    random = np.random.default_rng(1000 + seed)
    chosen = [one.images[place] for place in random.permutation(len(one.images))[:MOST]]
    contents = [(one.folder / image.paths[0]).read_bytes() for image in chosen]
    labels = [image.label for image in chosen]
    clean = [_picture(content, label) for content, label in zip(contents, labels, strict=True)]
    sides = ["valid" if random.random() < _HELD_OUT else "train" for _ in clean]
    found = [*_found(clean, labels), *_found(clean, sides)]
    rows: list[dict[str, Json]] = [
        {
            "kind": "clean",
            "found": [f"{shortcut.label}: {shortcut.trait} ({shortcut.accuracy:.2f})" for shortcut in found],
        }
    ]
    frequent = [label for label, count in Counter(labels).items() if count >= _OFTEN]
    for kind, change in CHANGES.items() if frequent else ():
        target = str(random.choice(sorted(frequent)))
        changed = _changed(clean, contents, labels, target, change)
        said = _found(changed, labels)
        rows.append(
            {"kind": kind, "is_found": any(shortcut.label == target or len({*labels}) == 2 for shortcut in said)}
        )
    changed = _changed(clean, contents, sides, "valid", CHANGES["compression"])
    rows.append({"kind": "held-out pictures compressed", "is_found": bool(_found(changed, sides))})
    return [{"set": one.name, "seed": seed, **row} for row in rows]


def _found(pictures: Sequence[Picture], labels: Sequence[str]) -> list[Shortcut]:
    return shortcuts(trait_columns(pictures), labels, range(len(pictures)))


def _changed(
    clean: Sequence[Picture], contents: Sequence[bytes], labels: Sequence[str], target: str, change: Change
) -> list[Picture]:
    return [
        _picture(change(_opened(content)), picture.label) if label == target else picture
        for picture, content, label in zip(clean, contents, labels, strict=True)
    ]


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def _picture(content: bytes, label: str | None) -> Picture:
    read = read_image(content)
    facts, of = read.facts, read.measures
    measured = Measured(of.dark, of.light, of.brightness, of.entropy, of.sharpness, of.traits)
    return Picture("", ("",), facts.format, facts.width, facts.height, len(content), measured, label)


def _saved(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **({"quality": 90} if format == "JPEG" else {}) | options)
    return file.getvalue()


def _sized(image: Image.Image) -> bytes:
    return _saved(image.resize((round(0.7 * image.width), round(0.7 * image.height))))


def _shaped(image: Image.Image) -> bytes:
    return _saved(image.crop((0, 0, image.width, round(0.8 * image.height))))


def _framed(image: Image.Image) -> bytes:
    return _saved(ImageOps.expand(image, max(2, image.width // 25), "white"))


def _noted(key: int, value: object, turn: Image.Transpose | None = None) -> Change:
    exif = Image.Exif()
    exif[key] = value
    return lambda image: _saved(image if turn is None else image.transpose(turn), exif=exif)


CHANGES: Final[dict[str, Change]] = {
    "size": _sized,
    "shape": _shaped,
    "format": lambda image: _saved(image, "PNG"),
    "compression": lambda image: _saved(image, quality=30),
    "no colours": lambda image: _saved(image.convert("L")),
    "white border": _framed,
    "camera": _noted(_MODEL, "Scanner 2"),
    "darker": lambda image: _saved(ImageEnhance.Brightness(image).enhance(0.45)),
    "held sideways": _noted(_ORIENTATION, 6, Image.Transpose.ROTATE_90),
}
