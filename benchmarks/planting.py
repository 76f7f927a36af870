"""Pictures with known faults among clean ones: copies, leaks, twins with two labels, series, and poor pictures."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.sets import PictureSet

MOST: Final = 600
"""Clean pictures that are taken of a set, unless fewer are asked for."""
_EACH: Final = 20
"""Planted pictures of each kind of fault, where there are pictures enough."""
_PICTURES_OF_EACH: Final = 15
"""Clean pictures that one planted picture of each kind takes."""
COPIES: Final = ("same pixels", "resized", "recompressed", "cropped by 5 %", "flipped", "turned")
_HELD_OUT: Final = 0.25


@dataclass(slots=True)
class Planted:
    """Files by path, and what is known of them.

    Attributes:
        labels: class of each path as its folder says.
        pairs: (path, path of its copy) by kind.
        faults: paths by kind of fault of a single picture.
        related: (path, path) of poor pictures and what they were made of: to call them copies is not wrong.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    related: list[tuple[str, str]] = field(default_factory=list)


def plant(one: PictureSet, seed: int, most: int = MOST) -> Planted:
    """Clean pictures of a set in folders ``train`` and ``valid``, with everything planted; the same for a seed."""
    random = np.random.default_rng(seed)
    planted = Planted()
    order = random.permutation(len(one.images))[:most]
    each = min(_EACH, len(order) // _PICTURES_OF_EACH)
    clean: list[tuple[str, str, Image.Image]] = []
    for place in order:
        image = one.images[place]
        content = (one.folder / image.paths[0]).read_bytes()
        side = "valid" if random.random() < _HELD_OUT else "train"
        path = f"{side}/{image.label}/{image.digest[:12]}.{image.paths[0].rpartition('.')[2].lower()}"
        planted.files[path] = content
        planted.labels[path] = image.label
        clean.append((path, image.label, Image.open(io.BytesIO(content)).convert("RGB")))
    supply = iter(random.permutation(len(clean)).tolist())
    classes = sorted({label for _, label, _ in clean})

    def add(path: str, content: bytes, label: str) -> str:
        planted.files[path], planted.labels[path] = content, label
        return path

    def copies(kind: str, make: Callable[[Image.Image], bytes], ending: str = "jpg") -> None:
        for _ in range(each):
            path, label, image = clean[next(supply)]
            side = path.split("/")[0]
            made = add(f"{side}/{label}/{_name(random)}.{ending}", make(image), label)
            planted.pairs.setdefault(kind, []).append((path, made))

    copies("same pixels", _png, "png")
    for kind, change in _changes(random).items():
        copies(kind, change)
    for _ in range(each):  # the same bytes once more
        path, label, _image = clean[next(supply)]
        made = f"{path.split('/')[0]}/{label}/{_name(random)}.{path.rpartition('.')[2]}"
        planted.pairs.setdefault("exact copy", []).append((path, add(made, planted.files[path], label)))
    for kind in ("two labels, exact copy", "two labels, recompressed"):
        for _ in range(each):
            path, label, image = clean[next(supply)]
            other = classes[(classes.index(label) + 1 + int(random.integers(len(classes) - 1))) % len(classes)]
            exact = kind.endswith("exact copy")
            ending = path.rpartition(".")[2] if exact else "jpg"
            made = f"{path.split('/')[0]}/{other}/{_name(random)}.{ending}"
            add(made, planted.files[path] if exact else _jpeg(image, int(random.integers(40, 85))), other)
            planted.pairs.setdefault(kind, []).append((path, made))
    for kind in ("leak, exact copy", "leak, recompressed"):
        for _ in range(each):
            path, label, image = clean[next(supply)]
            side = "train" if path.startswith("valid/") else "valid"
            exact = kind.endswith("exact copy")
            ending = path.rpartition(".")[2] if exact else "jpg"
            made = f"{side}/{label}/{_name(random)}.{ending}"
            add(made, planted.files[path] if exact else _jpeg(image, int(random.integers(40, 85))), label)
            planted.pairs.setdefault(kind, []).append((path, made))
    _plant_series(planted, clean, supply, random, each)
    _plant_poor(planted, clean, random, each)
    return planted


def _changes(random: np.random.Generator) -> dict[str, Callable[[Image.Image], bytes]]:
    def resized(image: Image.Image) -> bytes:
        share = random.uniform(0.4, 0.8)
        size = max(16, round(image.width * share)), max(16, round(image.height * share))
        return _jpeg(image.resize(size, Image.Resampling.BICUBIC), 90)

    def cropped(image: Image.Image) -> bytes:
        width, height = round(0.95 * image.width), round(0.95 * image.height)
        x = int(random.integers(image.width - width + 1))
        y = int(random.integers(image.height - height + 1))
        return _jpeg(image.crop((x, y, x + width, y + height)), 90)

    return {
        "resized": resized,
        "recompressed": lambda image: _jpeg(image, int(random.integers(15, 60))),
        "cropped by 5 %": cropped,
        "flipped": lambda image: _jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90),
        "turned": lambda image: _jpeg(image.transpose(Image.Transpose.ROTATE_90), 90),
    }


def _plant_series(
    planted: Planted,
    clean: Sequence[tuple[str, str, Image.Image]],
    supply: Iterator[int],
    random: np.random.Generator,
    each: int,
) -> None:
    """Series of three: the camera moves and turns a little, the middle moves more, light and noise change."""
    for number in range(each):
        _, label, image = clean[next(supply)]
        frames = [f"train/{label}/series{number:02}_{frame}.jpg" for frame in range(3)]
        for path in frames:
            planted.files[path], planted.labels[path] = _jpeg(_frame(image, random), 90), label
        planted.pairs.setdefault("series", []).extend(
            [(frames[0], frames[1]), (frames[1], frames[2]), (frames[0], frames[2])]
        )


def _frame(image: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = image.size
    turned = image.rotate(random.uniform(-2, 2), Image.Resampling.BICUBIC)
    x, y = (int(random.uniform(0.03, 0.09) * side) for side in (width, height))
    frame = turned.crop((x, y, x + int(0.88 * width), y + int(0.88 * height))).resize(image.size)
    part = image.crop((width // 3, height // 3, 2 * width // 3, 2 * height // 3))
    mask = Image.new("L", part.size, 0)
    mask.paste(255, (part.width // 6, part.height // 6, 5 * part.width // 6, 5 * part.height // 6))
    moved = (int(width * (1 / 3 + random.uniform(-0.08, 0.08))), int(height * (1 / 3 + random.uniform(-0.08, 0.08))))
    frame.paste(part, moved, mask.filter(ImageFilter.GaussianBlur(max(1, part.width / 10))))
    pixels = np.asarray(ImageEnhance.Brightness(frame).enhance(random.uniform(0.93, 1.07)), dtype=np.float32)
    noisy = pixels + random.normal(0, 4, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _plant_poor(
    planted: Planted,
    clean: Sequence[tuple[str, str, Image.Image]],
    random: np.random.Generator,
    each: int,
) -> None:
    poor: dict[str, Callable[[Image.Image], bytes]] = {
        "dark": lambda image: _jpeg(ImageEnhance.Brightness(image).enhance(random.uniform(0.1, 0.22)), 90),
        "light": lambda image: _jpeg(
            Image.blend(image, Image.new("RGB", image.size, "white"), random.uniform(0.97, 0.985)), 95
        ),
        "blank": lambda image: _jpeg(Image.new("RGB", image.size, tuple(random.integers(0, 256, 3).tolist())), 90),
        "blurred": lambda image: _jpeg(
            image.filter(ImageFilter.GaussianBlur(random.uniform(0.012, 0.03) * max(image.size))), 90
        ),
        "cut file": lambda image: (content := _jpeg(image, 90))[: int(len(content) * random.uniform(0.3, 0.9))],
    }
    for kind, make in poor.items():
        for _ in range(each // 2):
            # Taken from other pictures than those with copies; those run out in small sets.
            source, label, image = clean[int(random.integers(len(clean)))]
            path = f"train/{label}/{_name(random)}.jpg"
            planted.related.append((source, path))
            planted.files[path], planted.labels[path] = make(image), label
            planted.faults.setdefault(kind, []).append(path)


def _name(random: np.random.Generator) -> str:
    return bytes(random.integers(0, 256, 6, dtype=np.uint8).tolist()).hex()


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
