"""Which picture a name in a table means.

Tables are written on other machines: with the folders of that machine, with
Windows' backslashes, in capitals, without the ending, or by a spreadsheet that
made 7 of 007. A name is compared from its end, strictest first, and means a
picture only where no other picture fits as well.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from itertools import chain
from typing import Final, NamedTuple, Self
from urllib.parse import unquote

from backend.domain.images import normal


class Fit(IntEnum):
    """How the last part of a name fits a picture's file name; a smaller one is stricter."""

    EXACT = 0
    CASE = 1
    """Equal but for capitals, as ``.JPG`` for ``.jpg``."""
    STEM = 2
    """Equal without the ending."""
    NUMBER = 3
    """The same number, as 7 for 007."""


class Closeness(NamedTuple):
    """How well a name fits a path; a smaller one fits better."""

    folders_differ: bool
    fit: Fit
    unshared: int
    """Minus the number of folders that both have, counted from the end."""


class Found(NamedTuple):
    """The paths that a name may mean: all that fit equally well."""

    paths: tuple[str, ...]
    closeness: Closeness


@dataclass(frozen=True, slots=True)
class NameIndex:
    """Paths of pictures by the names that tables may have for them.

    Attributes:
        image_of: the picture that a path belongs to; copies of a picture have several paths.
    """

    image_of: Mapping[str, object]
    _by_name: "Mapping[Fit, _ByName]" = field(repr=False)
    _matched: "dict[tuple[str, ...], RowMatch]" = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, paths: Iterable[str], image_of: Mapping[str, object] | None = None) -> Self:
        """The index of ``paths``; where ``image_of`` is left out, every path is a picture of its own."""
        known = [*paths]
        names = [normal(path).rpartition("/")[2] for path in known]
        folded = [name.casefold() for name in names]
        stems = [_stem(name) for name in folded]
        numbered = [(number, path) for stem, path in zip(stems, known, strict=True) if (number := _number(stem))]
        by_name = {
            Fit.EXACT: _ByName.of(names, known),
            Fit.CASE: _ByName.of(folded, known),
            Fit.STEM: _ByName.of(stems, known),
            Fit.NUMBER: _ByName.of([number for number, _ in numbered], [path for _, path in numbered]),
        }
        return cls(image_of or {path: path for path in known}, by_name)

    def matched(self, cells: Sequence[str], file: str = "") -> "RowMatch":
        """``RowMatch.of`` these cells; the last ones are remembered, because every change of a rule asks again."""
        key = (file, *cells)
        if (known := self._matched.get(key)) is None:
            if len(self._matched) >= _REMEMBERED:
                self._matched.clear()
            known = self._matched[key] = RowMatch.of(cells, self, file)
        return known

    def within(self, paths: Iterable[str]) -> Self:
        """The same for some of the paths."""
        return type(self).of(paths, self.image_of)

    def find(self, cell: str) -> Found | None:
        """What ``cell`` may mean, or None."""
        # Nearly all cells are the end of a path, and of no other one.
        path = self._by_name[Fit.EXACT].only.get(cell.rpartition("/")[2])
        if path is not None and (path == cell or path.endswith(f"/{cell}")):
            return Found((path,), _exactly(cell.count("/")))
        found = self._find(cell)
        return found or next((other for text in _as_plain_paths(cell) if (other := self._find(text))), None)

    def _find(self, cell: str) -> Found | None:
        folders, name = _parts(cell)
        if not name:
            return None
        best: Found | None = None
        for fit, key in _keys_of_cell(name):
            if not (candidates := self._by_name[fit].paths(key)):
                continue
            found = _closest(folders, candidates, fit)
            if found and not found.closeness.folders_differ:
                return found
            if found and (best is None or found.closeness < best.closeness):
                best = found
        return best

    def images(self, found: Found) -> set[object]:
        """The pictures behind the paths that were found."""
        return {self.image_of[path] for path in found.paths}


@dataclass(frozen=True, slots=True)
class _ByName:
    """Paths by a form of their file names. Most have a name of their own, and then no list is made for it.

    Attributes:
        only: the path of each name that no other path has.
        several: the paths of the other names.
    """

    only: Mapping[str, str]
    several: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, names: Sequence[str], paths: Sequence[str]) -> Self:
        """Each path by the name that stands at its place."""
        only = dict(zip(names, paths, strict=True))
        several: dict[str, list[str]] = {}
        if len(only) < len(names):
            counts = Counter(names)
            for name, path in zip(names, paths, strict=True):
                if counts[name] > 1:
                    several.setdefault(name, []).append(path)
            only = {name: path for name, path in only.items() if name not in several}
        return cls(only, several)

    def paths(self, name: str) -> Sequence[str]:
        """All that have this name."""
        path = self.only.get(name)
        return self.several.get(name, ()) if path is None else (path,)


@cache
def _exactly(folders: int) -> Closeness:
    """How well the end of a path fits it: one object for all, because there are as many as rows."""
    return Closeness(False, Fit.EXACT, -folders)


_REMEMBERED: Final = 4
_UPLOADED: Final = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded to it."""


def _as_plain_paths(cell: str) -> Iterator[str]:
    """A name as other tools write it, as plain paths: without the parts of an address, then without a prefix."""
    path = cell
    if "?" in cell or "%" in cell or "#" in cell:
        # Label Studio: /data/local-files/?d=cats/1.jpg; others: https://host/cats/1.jpg?token=1
        path = unquote(cell.partition("?d=")[2].partition("&")[0] or re.split("[?#]", cell, maxsplit=1)[0])
        yield path
    folder, slash, name = path.replace("\\", "/").rpartition("/")
    if prefix := _UPLOADED.match(name):
        yield f"{folder}{slash}{name[prefix.end() :]}"


def _closest(folders: Sequence[str], candidates: Sequence[str], fit: Fit) -> Found | None:
    best: list[str] = []
    closest: Closeness | None = None
    for path in candidates:
        closeness = _closeness(folders, path, fit)
        if closest is None or closeness < closest:
            best, closest = [path], closeness
        elif closeness == closest:
            best.append(path)
    return Found(tuple(best), closest) if closest else None


def _closeness(folders: Sequence[str], path: str, fit: Fit) -> Closeness:
    if not folders:
        return Closeness(False, fit, 0)
    own = normal(path).casefold().split("/")[:-1]
    shared = 0
    for one, other in zip(reversed(folders), reversed(own), strict=False):
        if one != other:
            return Closeness(True, fit, -shared)
        shared += 1
    return Closeness(False, fit, -shared)


def _keys_of_cell(name: str) -> Iterator[tuple[Fit, str]]:
    """A name in a table as each of the fits looks it up, the strictest first."""
    yield Fit.EXACT, name
    folded = name.casefold()
    yield Fit.CASE, folded
    # A dot may belong to the name (v1.5) or separate an ending of another format (1.tif for 1.jpg).
    yield Fit.STEM, folded
    stem = _stem(folded)
    yield Fit.STEM, stem
    if number := _number(folded) or _number(folded.removesuffix(".0")) or _number(stem):
        yield Fit.NUMBER, number


def _stem(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _number(text: str) -> str:
    return (text.lstrip("0") or "0") if text.isascii() and text.isdigit() else ""


def _parts(cell: str) -> tuple[list[str], str]:
    """The folders of a name, compared without capitals, and its last part."""
    *folders, name = [part for part in normal(cell.strip()).replace("\\", "/").split("/") if part not in ("", ".")] or [
        ""
    ]
    return [folder.casefold() for folder in folders], name


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A name that fits several pictures, with two of their paths."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowMatch:
    """Which rows of a table mean which pictures.

    Attributes:
        rows: numbers of the rows that mean a path, in their order.
        ambiguous: names that fit several pictures equally well; their rows mean none.
        unmatched: names that mean no picture.
    """

    rows: Mapping[str, tuple[int, ...]]
    ambiguous: tuple[Ambiguous, ...]
    unmatched: tuple[str, ...]

    @classmethod
    def of(cls, cells: Sequence[str], index: NameIndex, file: str = "") -> Self:
        """Match each row's name; the folders of ``file``, the table's own path, decide between equals.

        A picture takes the rows that name it best: ``b/1.jpg`` doesn't mean ``a/1.jpg`` where the table has
        both names.
        """
        closeness: list[Closeness | None] = []
        rows: dict[str, tuple[int, ...]] = {}
        contested: dict[str, list[int]] = {}
        ambiguous: list[Ambiguous] = []
        unmatched: list[str] = []
        for row, (cell, match) in enumerate(zip(cells, _found_in_scope(cells, index, file), strict=True)):
            closeness.append(match and match.closeness)
            if match is None:
                if cell:
                    unmatched.append(cell)
            elif len(match.paths) > 1 and len(index.images(match)) > 1:
                ambiguous.append(Ambiguous(cell, match.paths[:2]))
            else:
                for path in match.paths:
                    if path in rows:
                        contested.setdefault(path, [*rows[path]]).append(row)
                    else:
                        rows[path] = (row,)
        for path, claiming in contested.items():
            rows[path] = _closest_of(claiming, closeness)
        lost = {*chain.from_iterable(contested.values())} - {*chain.from_iterable(rows.values())}
        return cls(rows, tuple(ambiguous), (*unmatched, *(cells[row] for row in sorted(lost))))


def _closest_of(rows: Sequence[int], closeness: Sequence[Closeness | None]) -> tuple[int, ...]:
    """Those of the rows that name their picture best."""
    closest = min(found for row in rows if (found := closeness[row]))
    return tuple(row for row in rows if closeness[row] == closest)


def _found_in_scope(cells: Sequence[str], index: NameIndex, file: str) -> Iterable[Found | None]:
    """What each cell means; first among the pictures that the table's own path points at, if most rows are there."""
    scopes = [*_scopes(file, [*index.image_of])]
    if not scopes:
        return (index.find(cell) if cell else None for cell in cells)
    everywhere = [index.find(cell) if cell else None for cell in cells]
    for scope in scopes:
        inside = index.within(scope)
        within = [inside.find(cell) if cell else None for cell in cells]
        if sum(found is not None for found in within) * 2 >= sum(found is not None for found in everywhere) > 0:
            return [_rather_inside(one, other) for one, other in zip(within, everywhere, strict=True)]
    return everywhere


def _rather_inside(inside: Found | None, anywhere: Found | None) -> Found | None:
    """A picture outside is meant only by a name that has one of its folders."""
    if anywhere is None or anywhere.closeness.unshared == 0 or anywhere.closeness.folders_differ:
        return inside
    return anywhere if inside is None or anywhere.closeness < inside.closeness else inside


def _scopes(file: str, paths: Sequence[str]) -> Iterable[list[str]]:
    """Sets of paths that a table may be about, the likeliest first: its own folder, or one that is named like it.

    ``train.csv`` is about the pictures in a folder ``train``: a folder ``test`` may have the same file names.
    """
    folder, _, name = normal(file).rpartition("/")
    beside = [path for path in paths if normal(path).startswith(f"{folder}/")] if folder else [*paths]
    words = {word for word in _words(_stem(name)) if word not in _EVERY_TABLE}
    named = [path for path in beside if not words.isdisjoint(normal(path).casefold().split("/")[:-1])] if words else []
    for scope in (named, beside):
        if scope and len(scope) < len(paths):
            yield scope


_EVERY_TABLE: Final = frozenset({"labels", "label", "images", "image", "data", "csv", "classes", "metadata"})


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
