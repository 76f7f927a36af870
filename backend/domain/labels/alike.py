"""Names of classes that are probably meant to be one, and names that usually stand for no label."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from backend.domain.images import normal

NO_LABEL: Final = frozenset(
    {"nan", "none", "null", "n/a", "na", "#n/a", "nil", "undefined", "unlabeled", "unlabelled", "unknown", "?", "-"}
)
"""What programs and people write into a cell that has no label, without capitals."""
_SHORTEST: Final = 5
"""Letters of a name from which on one different letter is likely a slip: “cat” and “car” are two things."""


def groups_alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that differ only by capitals, spaces and signs between words; groups and their names in order."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike["".join(letter for letter in normal(name).casefold() if letter.isalnum())].append(name)
    return sorted(tuple(sorted(group)) for group in alike.values() if len(group) > 1)


def pairs_one_letter_apart(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names of which one has a letter more, or another letter in one place; in order.

    Digits don't count as slips, because “week 1” and “week 2” are two classes. Names that ``groups_alike`` puts
    together aren't among them.
    """
    by_form: dict[str, str] = {}
    for name in sorted(names):
        by_form.setdefault("".join(c for c in normal(name).casefold() if c.isalnum()), name)
    neighbours: dict[str, list[str]] = defaultdict(list)
    for form in by_form:
        if len(form) >= _SHORTEST:
            # Two words one change apart become the same when the right letter of each is left out.
            for shorter in {form, *(form[:at] + form[at + 1 :] for at in range(len(form)))}:
                neighbours[shorter].append(form)
    found = {
        (min(one, other), max(one, other))
        for forms in neighbours.values()
        for at, one in enumerate(forms)
        for other in forms[at + 1 :]
        if _is_slip(one, other)
    }
    pairs = ((by_form[one], by_form[other]) for one, other in found)
    return sorted((min(pair), max(pair)) for pair in pairs)


def _is_slip(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    start = 0
    while start < len(shorter) and shorter[start] == longer[start]:
        start += 1
    if len(shorter) == len(longer):
        is_one_apart = shorter[start + 1 :] == longer[start + 1 :]
        return is_one_apart and not (shorter[start].isdigit() or longer[start].isdigit())
    return shorter[start:] == longer[start + 1 :] and not longer[start].isdigit()


def names_of_nothing(names: Iterable[str]) -> list[str]:
    """Names that usually stand for no label, in order."""
    return sorted(name for name in names if name.strip().casefold() in NO_LABEL)
