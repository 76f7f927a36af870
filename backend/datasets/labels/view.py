"""What the labels page shows beside the classes: real names with the part that is the label marked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.datasets.labels.preview import Preview
from backend.datasets.repository import ImageNames
from backend.datasets.urls import thumbnail_url
from backend.domain.labels.rules import FolderRule, RuleSpec

SAMPLES: Final = 12
_PART: Final = re.compile(r"[^\W_]+|[\W_]", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a path. ``level`` is set for folders: 1 is the one the picture is in."""

    text: str
    is_label: bool
    is_word: bool
    level: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with its name in parts."""

    path: str
    thumbnail: str
    label: str | None
    parts: tuple[Part, ...]


def samples(preview: Preview, rule: RuleSpec) -> list[Sample]:
    """A dozen names: one of each class in turn, and a few that got no label."""
    rounds = zip(*[found.examples for found in preview.classes if found.examples], strict=False)
    labelled = [image for of_round in rounds for image in of_round]
    labelled = labelled or [image for found in preview.classes for image in found.examples]
    shown = [*labelled[: SAMPLES - 3], *preview.unlabelled[:3]]
    labels = {image.id: found.name for found in preview.classes for image in found.examples}
    return [_sample(image, labels.get(image.id), rule) for image in shown]


def bare_samples(images: Sequence[ImageNames]) -> list[Sample]:
    """Names without labels, for a rule that isn't finished."""
    step = max(1, len(images) // SAMPLES)
    return [_sample(image, None, FolderRule()) for image in images[::step][:SAMPLES]]


def _sample(image: ImageNames, label: str | None, rule: RuleSpec) -> Sample:
    return Sample(image.path, thumbnail_url(image.id, digest=image.digest), label, _parts(image.path, label, rule))


def _parts(path: str, label: str | None, rule: RuleSpec) -> tuple[Part, ...]:
    """Folders, then the words of the name. The label is marked where it stands in the path, if it does."""
    *folders, name = path.split("/")
    parts: list[Part] = []
    for depth, folder in enumerate(folders):
        level = len(folders) - depth
        is_label = isinstance(rule, FolderRule) and label is not None and level == rule.level
        parts += [Part(folder, is_label, True, level), Part("/", False, False)]
    stem, dot, suffix = name.rpartition(".")
    ending = (Part(f".{suffix}", False, False),) if dot and stem else ()
    name = stem if ending else name
    start = -1 if label is None or isinstance(rule, FolderRule) else name.rfind(label)
    if label is None or start < 0:
        return (*parts, *_words(name), *ending)
    end = start + len(label)
    return (*parts, *_words(name[:start]), Part(name[start:end], True, True), *_words(name[end:]), *ending)


def _words(text: str) -> list[Part]:
    return [Part(piece, False, piece[0].isalnum()) for piece in _PART.findall(text)]
