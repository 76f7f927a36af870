"""A random split, class by class: every class has its share of held-out images, and earlier versions keep theirs.

Images are dealt in units: a group, else a single image (copies share a digest
and are one image). Units are ranked by a keyed hash, so neither the order of
upload nor a random generator's state decides (``docs/decisions/0009``).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from backend.domain.ids import Digest
from backend.domain.manifest import Split


class Member(NamedTuple):
    """An image to be dealt; images with the same ``unit`` stay together."""

    digest: Digest
    label: str
    unit: str


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of each class that are held out, in [0, 1], and the seed of the ranking."""

    valid: float
    test: float
    seed: int

    def targets(self, images: int) -> dict[Split, int]:
        """How many of a class's images are held out: the rounded share.

        At least one image of two or more is for validation, and at least one is left to learn from.
        """
        valid = min(max(_rounded(self.valid * images), 1), images - 1) if images > 1 else 0
        test = min(_rounded(self.test * images), max(0, images - 1 - valid))
        return {Split.VALID: valid, Split.TEST: test}


def stratified(
    members: Iterable[Member], shares: Shares, kept: Mapping[Digest, Split] | None = None
) -> dict[Digest, Split]:
    """Split of each image.

    Where nothing is ``kept``, the first units by rank are held out until each class has its share. Where it is, its
    images stay on their side and new units are dealt to reach the shares; only if those are too few, images that were
    learnt from are held out as well. An image that was held out is never moved.
    """
    known = [*members]
    if all(member.unit == member.digest for member in known):
        return stratified_singles(((digest, label) for digest, label, _ in known), shares, kept or {})
    return stratified_groups(known, shares, kept or {})


def stratified_counts(counts: Mapping[str, int], shares: Shares) -> dict[str, dict[Split, int]]:
    """Images of each class on each side where it has so many, each is dealt alone and nothing is kept.

    Which ones they are follows from their ranks, and how many from the shares alone.
    """
    found = {}
    for label, images in counts.items():
        held = shares.targets(images)
        sides = {Split.TRAIN: images - sum(held.values()), **held}
        found[label] = {side: number for side, number in sides.items() if number}
    return found


def stratified_singles(
    labelled: Iterable[tuple[Digest, str]], shares: Shares, kept: Mapping[Digest, Split]
) -> dict[Digest, Split]:
    """The same as ``stratified_groups`` where every unit is one image: classes don't depend on each other.

    ``labelled`` are digest and label of each image.
    """
    of_label: dict[str, list[Digest]] = defaultdict(list)
    for digest, label in labelled:
        of_label[label].append(digest)
    sides: dict[Digest, Split] = {}
    for digests in of_label.values():
        sides.update(_deal_class(digests, shares, kept))
    return sides


def _deal_class(digests: Sequence[Digest], shares: Shares, kept: Mapping[Digest, Split]) -> dict[Digest, Split]:
    """Sides of the images of one class."""
    sides = dict.fromkeys(digests, Split.TRAIN)
    earlier = {digest: kept[digest] for digest in digests if digest in kept} if kept else {}
    sides.update(earlier)
    held = Counter(earlier.values())
    missing = {split: max(0, target - held[split]) for split, target in shares.targets(len(digests)).items()}
    if not any(missing.values()) and Split.TRAIN in sides.values():
        return sides  # nobody's rank decides anything
    ranked = _ranked(digests, shares.seed)
    # New images first, then those that were learnt from.
    able = [digest for digest in ranked if digest not in earlier]
    able += [digest for digest in ranked if earlier.get(digest) is Split.TRAIN]
    at = 0
    for split, images in missing.items():
        sides.update(dict.fromkeys(able[at : at + images], split))
        at += images
    return sides | _with_something_to_learn(ranked, sides, kept)


def _ranked(digests: Iterable[Digest], seed: int) -> list[Digest]:
    """The same in the order of their ranks; rank and digest in one text, as pairs take twice as long to sort."""
    texts = sorted(_rank(digest, seed).hex() + digest for digest in digests)
    return [Digest(text[2 * _RANK_BYTES :]) for text in texts]


def _with_something_to_learn(
    ranked: Sequence[Digest], sides: Mapping[Digest, Split], kept: Mapping[Digest, Split]
) -> dict[Digest, Split]:
    """Where a class has nothing to learn from, its last new image moves, unless a side would lose its only one."""
    if any(side is Split.TRAIN for side in sides.values()):
        return {}
    held = Counter(sides.values())
    for split in (Split.TEST, Split.VALID):
        if held[split] > 1 or (split is Split.VALID and len(ranked) == 1):
            for digest in reversed(ranked):
                if sides[digest] is split and digest not in kept:
                    return {digest: Split.TRAIN}
    return {}


def stratified_groups(members: Iterable[Member], shares: Shares, kept: Mapping[Digest, Split]) -> dict[Digest, Split]:
    """Split of each image where some stay together."""
    dealing = _Dealing.of(members, shares, kept)
    for split in (Split.VALID, Split.TEST):
        dealing.hold_out(dealing.new, split)
        dealing.hold_out(dealing.movable, split)
    dealing.give_each_class_both_sides()
    return {member.digest: dealing.side[unit.key] for unit in dealing.units for member in unit.members}


@dataclass(frozen=True, slots=True)
class _Unit:
    key: str
    rank: bytes
    members: tuple[Member, ...]
    labels: Mapping[str, int]
    """Images of each class."""


@dataclass(slots=True)
class _Dealing:
    units: Sequence[_Unit]
    """In the order of their rank."""
    new: Sequence[_Unit]
    """Units that no earlier version had."""
    movable: Sequence[_Unit]
    """Units that an earlier version has learnt from."""
    side: dict[str, Split]
    missing: dict[Split, Counter[str]]
    """Images of each class that are still to be held out; below zero where there are more than the share."""
    held: dict[Split, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in Split})
    """Images of each class on each side."""

    @classmethod
    def of(cls, members: Iterable[Member], shares: Shares, kept: Mapping[Digest, Split]) -> "_Dealing":
        units = _units(members, shares.seed)
        totals: Counter[str] = Counter()
        for unit in units:
            totals.update(unit.labels)
        missing: dict[Split, Counter[str]] = {Split.VALID: Counter(), Split.TEST: Counter()}
        for label, images in totals.items():
            for split, target in shares.targets(images).items():
                missing[split][label] = target
        earlier = {unit.key: side for unit in units if (side := _kept_side(unit, kept))}
        dealing = cls(
            units,
            [unit for unit in units if unit.key not in earlier],
            [unit for unit in units if earlier.get(unit.key) is Split.TRAIN],
            {},
            missing,
        )
        for unit in units:
            dealing.put(unit, earlier.get(unit.key, Split.TRAIN))
        return dealing

    def put(self, unit: _Unit, side: Split) -> None:
        """Put a unit on a side, and count."""
        before = self.side.get(unit.key)
        self.side[unit.key] = side
        for label, images in unit.labels.items():
            self.held[side][label] += images
            if before is not None:
                self.held[before][label] -= images
            if side in self.missing:
                self.missing[side][label] -= images
            if before in self.missing:
                self.missing[before][label] += images

    def hold_out(self, units: Iterable[_Unit], split: Split) -> None:
        """Hold out those that bring the classes nearer to their share, the lowest rank first."""
        missing = self.missing[split]
        for unit in units:
            if self.side[unit.key] is not Split.TRAIN:
                continue
            gain = sum(abs(missing[label]) - abs(missing[label] - images) for label, images in unit.labels.items())
            if gain > 0:
                self.put(unit, split)

    def give_each_class_both_sides(self) -> None:
        """A class of two or more units has a validation image and something to learn from, where groups allow it."""
        of_label: dict[str, list[_Unit]] = defaultdict(list)
        for unit in self.units:
            for label in unit.labels:
                of_label[label].append(unit)
        new = {unit.key for unit in self.new}
        for label in sorted(of_label):
            units = of_label[label]
            fresh = [unit for unit in reversed(units) if unit.key in new]
            if len(units) > 1 and not self.held[Split.VALID][label]:
                self._move_one(units, Split.TRAIN, Split.VALID)
            if not self.held[Split.TRAIN][label]:
                self._move_one(fresh, Split.TEST, Split.TRAIN)
            if not self.held[Split.TRAIN][label]:
                self._move_one(fresh, Split.VALID, Split.TRAIN, may_empty=len(units) == 1)

    def _move_one(self, units: Iterable[_Unit], source: Split, target: Split, *, may_empty: bool = False) -> None:
        """Move the smallest unit, of equals the first, unless that leaves the source without images of a class."""
        able = [
            unit
            for unit in units
            if self.side[unit.key] is source
            and (may_empty or all(self.held[source][label] > images for label, images in unit.labels.items()))
        ]
        if able:
            self.put(min(able, key=lambda unit: sum(unit.labels.values())), target)


def _units(members: Iterable[Member], seed: int) -> list[_Unit]:
    by_key: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        by_key[member.unit].append(member)
    units = [
        _Unit(
            key,
            _rank(key, seed),
            tuple(found),
            {found[0].label: 1} if len(found) == 1 else Counter(member.label for member in found),
        )
        for key, found in by_key.items()
    ]
    return sorted(units, key=lambda unit: (unit.rank, unit.key))


_RANK_BYTES: Final = 7


def _rank(key: str, seed: int) -> bytes:
    """Bytes that only ``key`` and ``seed`` decide; their order is the order in which units are held out."""
    return hashlib.sha256(f"{seed}:{key}".encode()).digest()[:_RANK_BYTES]


# Where a group's images had different sides, held out wins: what is learnt from can't be tested.
_STRONGEST_FIRST: Final = (Split.TEST, Split.VALID, Split.TRAIN)


def _kept_side(unit: _Unit, kept: Mapping[Digest, Split]) -> Split | None:
    found = {kept[member.digest] for member in unit.members if member.digest in kept}
    return next((side for side in _STRONGEST_FIRST if side in found), None)


def _rounded(number: float) -> int:
    """Half up, because Python's own rounding would give classes of 5 and 15 less than half and more than half."""
    return int(number + 0.5 + 1e-9)
