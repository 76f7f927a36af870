"""What looks odd about labels: a warning, never a refusal."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.domain.images import normal

FEW: Final = 5


@dataclass(frozen=True, slots=True)
class LabelWarning:
    """Something to look at before training: a code for programs, a sentence for people, the classes it's about."""

    code: str
    message: str
    classes: tuple[str, ...] = ()


def warnings_about(counts: Mapping[str, int]) -> list[LabelWarning]:
    """What looks odd about classes with so many images each."""
    total = sum(counts.values())
    if total == 0:
        return [LabelWarning("no-labels", "No picture has a label with this rule.")]
    if len(counts) == 1:
        only = next(iter(counts))
        return [
            LabelWarning(
                "one-class-only", f"There is only one class, “{only}”, so there is nothing to tell apart.", (only,)
            )
        ]
    if len(counts) == total > 2:
        return [
            LabelWarning(
                "one-class-per-image", "Every picture would be a class of its own. Does the rule take the whole name?"
            )
        ]
    return [
        *_missing_values(counts),
        *_similar_names(counts),
        *_typing_mistakes(counts),
        *_small_classes(counts),
        *_dominating(counts, total),
    ]


_MISSING: Final = frozenset({"nan", "none", "null", "nil", "n/a", "#n/a", "<na>", "undefined", "-", "?"})
"""What programs write where a label is missing."""


def _missing_values(classes: Iterable[str]) -> list[LabelWarning]:
    found = sorted(name for name in classes if name.casefold() in _MISSING)
    if not found:
        return []
    looks = "looks like a missing label" if len(found) == 1 else "look like missing labels"
    message = f"{_quoted(found)} {looks}, not like a class. If so, add {_it(found)} to “Classes to leave out”."
    return [LabelWarning("missing-value-class", message, tuple(found))]


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(f"“{name}”" for name in names)


def _typing_mistakes(counts: Mapping[str, int]) -> list[LabelWarning]:
    """Names that differ by one letter, of which one is much rarer: most of them are the same word."""
    near: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        if len(name) >= _LONG_ENOUGH:
            # Two names that are one letter apart have a key in common: with that letter left out.
            for key in {name, *(name[:at] + name[at + 1 :] for at in range(min(len(name), _LOOKED_AT)))}:
                near[key].append(name)
    pairs = {
        (rare, common)
        for names in near.values()
        if 1 < len(names) <= _CROWD
        for rare in names
        for common in names
        if counts[rare] * _RARER <= counts[common] and _is_one_letter_off(rare, common)
    }
    return [
        LabelWarning(
            "similar-names",
            f"“{rare}” differs by one letter from “{common}”, which is far more frequent. Is it a typing mistake?",
            (rare, common),
        )
        for rare, common in sorted(pairs)[:_SHOWN_PAIRS]
    ]


_LONG_ENOUGH: Final = 4
_LOOKED_AT: Final = 60
_CROWD: Final = 50
"""Names with the same key, above which they are numbered rather than mistyped."""
_RARER: Final = 3
_SHOWN_PAIRS: Final = 20


def _is_one_letter_off(one: str, other: str) -> bool:
    """Whether a letter was left out, added or changed; figures count things, and cases are compared elsewhere."""
    if one.casefold() == other.casefold():
        return False
    short, long = sorted((one, other), key=len)
    start = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    changed = long[start] + (short[start] if len(short) == len(long) and start < len(short) else "")
    rest = short[start + (len(short) == len(long)) :]
    return len(long) - len(short) < 2 and changed.isalpha() and rest == long[start + 1 :]


def _similar_names(classes: Iterable[str]) -> list[LabelWarning]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike["".join(c for c in normal(name).casefold() if c.isalnum())].append(name)
    return [
        LabelWarning("similar-names", f"Names that look alike: {' / '.join(names)}.", tuple(names))
        for names in map(sorted, alike.values())
        if len(names) > 1
    ]


def _small_classes(counts: Mapping[str, int]) -> list[LabelWarning]:
    single = sorted(name for name, count in counts.items() if count == 1)
    few = sorted(name for name, count in counts.items() if 1 < count < FEW)
    found = []
    if single:
        found.append(
            LabelWarning(
                "single-image-class",
                f"{listed(single)} {_has(single)} a single picture, so the model can't be tested on {_it(single)}.",
                tuple(single),
            )
        )
    if few:
        sentence = f"{listed(few)} {_has(few)} fewer than {FEW} pictures, so the model will hardly learn {_it(few)}."
        found.append(LabelWarning("few-images", sentence, tuple(few)))
    return found


def _dominating(counts: Mapping[str, int], total: int) -> list[LabelWarning]:
    name, most = max(counts.items(), key=lambda item: item[1])
    if most <= 0.8 * total:
        return []
    sentence = (
        f"{most / total:.0%} of the pictures are {name}: one that always answers this scores well and is useless."
    )
    return [LabelWarning("dominating-class", sentence, (name,))]


def listed(names: Sequence[str]) -> str:
    """A few names as a part of a sentence."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"


def _has(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def pictures(count: int) -> str:
    """“1 picture”, “2 pictures”."""
    return "1 picture" if count == 1 else f"{count:,} pictures"


def pictures_have(count: int) -> str:
    """“1 picture has”, “2 pictures have”: the beginning of a sentence."""
    return f"{pictures(count)} {'has' if count == 1 else 'have'}"
