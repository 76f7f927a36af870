"""What looks odd about labels: a warning, never a refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.domain.labels.alike import groups_alike, names_of_nothing, pairs_one_letter_apart

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
    return [*_similar_names(counts), *_names_of_nothing(counts), *_small_classes(counts), *_dominating(counts, total)]


def _similar_names(counts: Mapping[str, int]) -> list[LabelWarning]:
    names = [*counts]
    alike = [
        LabelWarning("similar-names", f"Names that look alike: {' / '.join(group)}.", group)
        for group in groups_alike(names)
    ]
    slips = [
        LabelWarning("similar-names", f"Names that differ by one letter: {' / '.join(pair)}.", pair)
        for pair in [pair for pair in pairs_one_letter_apart(names) if _one_is_rare(counts, pair)][:_PAIRS]
    ]
    return alike + slips


_PAIRS: Final = 10
_RARER: Final = 3


def _one_is_rare(counts: Mapping[str, int], pair: Sequence[str]) -> bool:
    """A typing mistake is rare; “horse” and “house” that are both frequent are two classes."""
    few, many = sorted(counts[name] for name in pair)
    return _RARER * few <= many


def _names_of_nothing(counts: Mapping[str, int]) -> list[LabelWarning]:
    names = names_of_nothing(counts)
    if not names:
        return []
    images = sum(counts[name] for name in names)
    called = " and ".join(f"“{name}”" for name in names[:3]) if len(names) < 4 else listed(names)
    are = "is" if images == 1 else "are"
    message = f"{pictures(images)} {are} labelled {called}, which usually means that there is no label."
    return [LabelWarning("names-of-nothing", message, tuple(names))]


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
