"""Checks of single pictures: their size, shape and brightness, and what little they show."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from backend.datasets.health.finding import Action, Finding, Severity
from backend.datasets.health.picture import Material, Picture
from backend.datasets.health.words import are, listed, pictures, share_words
from backend.datasets.pictures.limits import (
    BLANK_CONTRAST,
    BLANK_ENTROPY,
    BLURRED_SHARPNESS,
    DARK_LIGHT,
    HUGE_PIXELS,
    LIGHT_DARK,
    ODD_ASPECT,
    TINY_SIDE,
    has_wrong_ending,
)

MOST: Final = 0.1
"""Share of the pictures above which a finding says something about the set, and nothing about these pictures."""
_ODD_SIZE: Final = 3.0
"""Interquartile ranges that a size may lie outside of the middle half."""
_UNEQUAL: Final = 3.0
"""Times that the usual class may have more pictures than the smallest."""


@dataclass(frozen=True, slots=True)
class _Check:
    """A question about each picture.

    Attributes:
        words: what is said of the pictures for which it is so; what is said when it is so for many; what is said when
            it is so for none.
    """

    kind: str
    is_so: Callable[[Picture], bool]
    words: tuple[str, str, str]
    severity: Severity = "warn"


def _is_blank(picture: Picture) -> bool:
    of = picture.measured
    if of is None:
        return False
    # What shows something, but nearly black or nearly white, is called so: there light - dark is always small.
    is_between = of.light >= DARK_LIGHT and of.dark <= LIGHT_DARK
    return of.entropy < BLANK_ENTROPY or (is_between and of.light - of.dark < BLANK_CONTRAST)


def _is_dark(picture: Picture) -> bool:
    return picture.measured is not None and picture.measured.light < DARK_LIGHT and not _is_blank(picture)


def _is_light(picture: Picture) -> bool:
    return picture.measured is not None and picture.measured.dark > LIGHT_DARK and not _is_blank(picture)


def _is_blurred(picture: Picture) -> bool:
    return picture.measured is not None and picture.measured.sharpness < BLURRED_SHARPNESS and not _is_blank(picture)


def _is_turned(picture: Picture) -> bool:
    return picture.measured is not None and "orientation" in picture.measured.traits


_CHECKS: Final = (
    _Check("blank", _is_blank, ("show nearly nothing", "show very little", "nearly blank pictures")),
    _Check("blurred", _is_blurred, ("are blurred", "are blurred", "blurred pictures")),
    _Check("dark", _is_dark, ("are nearly black", "are dark", "nearly black pictures")),
    _Check("light", _is_light, ("are nearly white", "are very light", "nearly white pictures")),
    _Check(
        "tiny",
        lambda picture: min(picture.width, picture.height) < TINY_SIDE,
        (f"are smaller than {TINY_SIDE} pixels", f"are smaller than {TINY_SIDE} pixels", "very small pictures"),
    ),
    _Check(
        "huge",
        lambda picture: picture.width * picture.height > HUGE_PIXELS,
        ("are larger than 50 megapixels", "are larger than 50 megapixels", "very large pictures"),
        "note",
    ),
    _Check(
        "odd_aspect",
        lambda picture: max(picture.width, picture.height) > ODD_ASPECT * min(picture.width, picture.height),
        (
            "are very long or very wide, so the network sees only a part of them",
            "are very long or very wide, so the network sees only a part of them",
            "very long or very wide pictures",
        ),
    ),
    _Check(
        "wrong_extension",
        lambda picture: has_wrong_ending(picture.path, picture.format),
        (
            "have a name that ends in another format; they are read by what they are",
            "have names that end in another format; they are read by what they are",
            "names that end in another format",
        ),
        "note",
    ),
    _Check(
        "turned",
        _is_turned,
        (
            "lie on their side in the file; they are shown and learnt from upright, as the camera noted",
            "lie on their side in the file; they are shown and learnt from upright, as the camera noted",
            "pictures that only the camera's note turns upright",
        ),
        "note",
    ),
)
_OF_MEASURES: Final = frozenset({"blank", "blurred", "dark", "light", "turned"})


def quality(material: Material) -> tuple[list[Finding], list[tuple[str, str]]]:
    """Findings of single pictures; and checks that found nothing, by kind, with a sentence."""
    findings: list[Finding] = []
    clean: list[tuple[str, str]] = []
    for check in _CHECKS:
        asked = material.measured if check.kind in _OF_MEASURES else material.pictures
        if not asked:
            continue
        found = [picture for picture in asked if check.is_so(picture)]
        if found:
            findings.append(_finding(check, found, len(asked)))
        else:
            clean.append((check.kind, f"No {check.words[2]}"))
    odd = _odd_sizes(material.pictures)
    if odd:
        findings.append(odd)
    return [*findings, *_files_left_out(material), *_imbalance(material)], clean


def _finding(check: _Check, found: Sequence[Picture], asked: int) -> Finding:
    ids = [[picture.id] for picture in found]
    here, many, _ = check.words
    # A set of a handful has no tenth that means anything.
    if len(found) > max(MOST * asked, 3):
        message = f"{share_words(len(found) / asked)} of the pictures {many}: that is how this set is."
        return Finding(check.kind, "note", len(found), message, ids)
    if len(found) == 1:
        here = here.replace("are ", "is ", 1).replace("show ", "shows ", 1).replace("have ", "has ", 1)
        here = here.replace("lie on their", "lies on its", 1)
    actions = (Action.SEE, Action.LEAVE_OUT) if check.severity == "warn" else (Action.SEE,)
    return Finding(check.kind, check.severity, len(found), f"{pictures(len(found))} {here}.", ids, actions)


def _odd_sizes(found: Sequence[Picture]) -> Finding | None:
    """Pictures whose size lies far outside of what is usual here; None where sizes differ anyway."""
    if len(found) < 20:
        return None
    sides = [(picture.width * picture.height) ** 0.5 for picture in found]
    low, _, high = statistics.quantiles(sides, n=4)
    spread = max(high - low, 0.05 * high)
    odd = [
        picture
        for picture, side in zip(found, sides, strict=True)
        if not low - _ODD_SIZE * spread <= side <= high + _ODD_SIZE * spread
    ]
    if not odd or len(odd) > MOST * len(found):
        return None
    usual = f"about {statistics.median(sides):.0f} pixels a side"
    message = f"{are(len(odd))} of an unusual size; the others have {usual}."
    return Finding("odd_size", "note", len(odd), message, [[picture.id] for picture in odd])


_LEFT_OUT: Final = {
    "image-truncated": ("truncated", "", "ends too early", "end too early"),
    "image-broken": ("unreadable", "", "is damaged", "are damaged"),
    "image-crashed-decoder": ("unreadable", "", "is damaged", "are damaged"),
    "image-empty": ("unreadable", "empty", "is empty", "are empty"),
    "image-format-unknown": ("unreadable", "format", "is no picture", "are no pictures"),
}
"""Kind of finding, what tells it from others of its kind, and why one file or several were left out, by code."""


def _files_left_out(material: Material) -> list[Finding]:
    counts: Counter[tuple[str, str, str, str]] = Counter()
    examples: dict[tuple[str, str, str, str], str] = {}
    for code, (count, example) in material.rejected.items():
        if code in _LEFT_OUT:
            counts[_LEFT_OUT[code]] += count
            examples.setdefault(_LEFT_OUT[code], example)
    findings = []
    for reason, count in counts.items():
        kind, about, why_one, why_several = reason
        if count == 1:
            message = f"1 file was left out because it {why_one}: {examples[reason]}."
        else:
            message = f"{count:,} files were left out because they {why_several}, such as {examples[reason]}."
        findings.append(Finding(kind, "note", count, message, actions=(), about=about))
    return findings


def _imbalance(material: Material) -> list[Finding]:
    counts = Counter(picture.label for picture in material.pictures if picture.label is not None)
    if len(counts) < 2:
        return []
    usual = statistics.median(counts.values())
    few = sorted((label for label, count in counts.items() if count * _UNEQUAL < usual), key=lambda name: counts[name])
    if not few:
        return []
    ids = [[picture.id] for picture in material.pictures if picture.label in few]
    if len(few) == 1:
        message = f"“{few[0]}” has {pictures(counts[few[0]])}, the others about {usual:,.0f}."
    else:
        message = f"{listed(few)} have far fewer pictures than the other classes, which have about {usual:,.0f}."
    message += " The model will know it less well." if len(few) == 1 else " The model will know them less well."
    return [Finding("imbalance", "warn", len(ids), message, ids)]
