"""What would help most: one line for each thing that can be done, with the mistakes that it would mend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from backend.domain.labels.warnings import pictures
from backend.domain.learning_curves import Gain
from backend.domain.results import wilson_interval

Kind = Literal["more_pictures", "suspects", "confused_pair", "tiny", "leak", "no_none_class"]

SMALL_SIDE: Final = 80
"""Pixels of the shorter side below which a picture hardly shows what the network is given 224 pixels for."""
_NONE_NAMES: Final = frozenset(
    {"none", "other", "others", "nothing", "background", "negative", "negatives", "unknown", "none of these", "rest"}
)
_SUSPECTS_WRONG: Final = (0.5, 0.9)
"""Shares of suspects that really are wrong, at least and at most; measured are 72 to 80 % (docs/findings.md)."""
_CANNOT_TELL: Final = "can't tell"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that can be done.

    Attributes:
        words: what, in a sentence without a full stop.
        effect: what it would do, in words.
        low, high: mistakes on the test pictures that it would mend; None where nothing can be said of them.
        action: words of the link, ``path`` its address below the application's root.
    """

    kind: Kind
    words: str
    effect: str
    low: int | None
    high: int | None
    action: str
    path: str


def mistakes_words(low: float, high: float) -> tuple[str, int | None, int | None]:
    """A range of mended mistakes in words, and as whole numbers; None where nothing may be mended."""
    least, most = round(low), round(high)
    if least < 1:
        return _CANNOT_TELL, None, None
    if least == most:
        return f"about {least:,} {'mistake' if least == 1 else 'mistakes'} fewer", least, most
    return f"{least:,} to {most:,} mistakes fewer", least, most


def more_pictures(label: str, more: int, gain: Gain, dataset_path: str) -> Line:
    """More pictures of one class."""
    effect, least, most = mistakes_words(*gain)
    return Line(
        "more_pictures", f"{more:,} more pictures of “{label}”", effect, least, most, "Add pictures", dataset_path
    )


def twice_as_many(gain: Gain, dataset_path: str) -> Line:
    """More pictures of all classes."""
    effect, least, most = mistakes_words(*gain)
    return Line(
        "more_pictures", "Twice as many pictures of every class", effect, least, most, "Add pictures", dataset_path
    )


def unclear_classes(count: int, of: int, classes_path: str) -> Line:
    """Classes of which more pictures may do nothing."""
    if count == of:
        words = "More pictures of any one class"
    else:
        words = f"More pictures of {'another class' if count == 1 else f'the {count:,} other classes'}"
    return Line("more_pictures", words, _CANNOT_TELL, None, None, "Results by class", classes_path)


def suspects(count: int, mended: int, path: str) -> Line:
    """Labels that are probably wrong; ``mended``: mistakes that are gone if all of them are."""
    least, most = _SUSPECTS_WRONG
    effect, low, high = mistakes_words(least * mended, most * mended)
    words = "Fixing the 1 suspicious label" if count == 1 else f"Fixing the {count:,} suspicious labels"
    return Line("suspects", words, effect, low, high, "Fix labels", path)


def confused_pair(one: str, other: str, count: int, path: str) -> Line:
    """Two classes that are confused most."""
    words = f"“{one}” and “{other}” are confused {count:,} times: merge them if they are one thing to you"
    return Line("confused_pair", words, f"{count:,} mistakes fewer", count, count, "See them", path)


def tiny(wrong: int, count: int, other_rate: float, path: str) -> Line:
    """Small pictures; ``other_rate``: share of wrong answers on all others."""
    rate_low, rate_high = wilson_interval(wrong, count)
    # Of the small ones as many would be wrong as of the others.
    effect, low, high = mistakes_words((rate_low - other_rate) * count, min(wrong, (rate_high - other_rate) * count))
    words = (
        f"{pictures(count)} for testing {'is' if count == 1 else 'are'} below {SMALL_SIDE} pixels, {wrong:,} of "
        f"{'it' if count == 1 else 'them'} wrong: replace {'it' if count == 1 else 'them'} by larger ones"
    )
    return Line("tiny", words, effect, low, high, "See them", path)


def leak(count: int, errors: int, images: int, errors_without: int, path: str) -> Line:
    """Test pictures with a copy among those that the model learnt from."""
    words = f"{pictures(count)} for testing {'has a copy' if count == 1 else 'have copies'} among the training pictures"
    rest = images - count
    if rest:
        effect = f"true score nearer {1 - errors_without / rest:.1%} than {1 - errors / images:.1%}".replace("%", " %")
    else:
        effect = "the score says nothing"
    return Line("leak", words, effect, None, None, "Health check", path)


def no_none_class(classes: Sequence[str], path: str) -> Line | None:
    """Whether pictures of something else have no class to go to; None where they have."""
    if any(name.strip().casefold().replace("_", " ").replace("-", " ") in _NONE_NAMES for name in classes):
        return None
    words = (
        f"A picture of anything else gets one of your {len(classes):,} classes too: "
        "add a class “none” if that may happen"
    )
    return Line("no_none_class", words, "not tested: 0 such pictures", None, None, "Add pictures", path)


def ranked(lines: Sequence[Line]) -> list[Line]:
    """What mends most first, then what makes the score untrue, then what has no clear effect."""
    return sorted(lines, key=lambda line: (-(line.high or 0), line.kind != "leak", line.effect == _CANNOT_TELL))
