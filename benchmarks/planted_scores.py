"""How much of what was planted a tool found, and how much of what it found is so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backend.domain.json import Json
from benchmarks.planting import Planted

_TWICE = ("two labels", "leak")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says of a folder of files.

    Attributes:
        groups: paths that it calls copies of each other, two or more each.
        moments: the same of what it only says to belong together.
        reported: paths by kind of fault of single pictures, and of copies with two labels and on both sides.
    """

    groups: Sequence[Sequence[str]]
    moments: Sequence[Sequence[str]] = ()
    reported: Mapping[str, Iterable[str]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def score(planted: Planted, answer: Answer) -> list[dict[str, Json]]:
    """A row for each kind: how many were planted and found; for copies also how many pairs are wrongly called so."""
    together = _joined(answer.groups)
    copies = [pair for kind, pairs in planted.pairs.items() if kind != "series" for pair in pairs]
    truth = _joined([*copies, *planted.related])
    rows: list[dict[str, Json]] = []
    for kind, pairs in planted.pairs.items():
        found = sum(_are_joined(together, pair) for pair in pairs)
        if kind == "series":
            apart = _joined([*answer.moments, *answer.groups])
            grouped = sum(_are_joined(apart, pair) for pair in pairs)
            rows.append({"kind": "series called copies", "planted": len(pairs), "found": found})
            rows.append({"kind": "series grouped", "planted": len(pairs), "found": grouped})
        else:
            rows.append({"kind": kind, "planted": len(pairs), "found": found})
        for beginning, fault in (("two labels", "label_conflict"), ("leak", "leak")):
            if kind.startswith(beginning) and fault in answer.reported:
                named = set(answer.reported[fault])
                said = sum(set(pair) <= named for pair in pairs)
                rows.append({"kind": f"{kind}: reported", "planted": len(pairs), "found": said})
    pairs_found = {
        frozenset((one, other)) for group in answer.groups for one in group for other in group if one != other
    }
    wrong = [sorted(pair) for pair in pairs_found if not _are_joined(truth, tuple(pair))]
    rows.append({"kind": "pairs", "found": len(pairs_found), "wrong": len(wrong), "examples": sorted(wrong)[:60]})
    for kind, paths in planted.faults.items():
        if kind in answer.reported:
            flagged = set(answer.reported[kind])
            rows.append(
                {
                    "kind": kind,
                    "planted": len(paths),
                    "found": len(flagged & set(paths)),
                    "wrong": len(flagged - set(paths)),
                }
            )
    if answer.seconds:
        rows.append({"kind": "seconds", **answer.seconds})
    return rows


def _joined(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """One name for all paths that groups connect, by each of these paths."""
    root: dict[str, str] = {}

    def find(path: str) -> str:
        while root.setdefault(path, path) != path:
            path = root[path]
        return path

    for group in groups:
        for path in group[1:]:
            root[find(path)] = find(group[0])
    return {path: find(path) for path in root}


def _are_joined(joined: Mapping[str, str], pair: Sequence[str]) -> bool:
    one, other = pair
    return one in joined and joined[one] == joined.get(other)
