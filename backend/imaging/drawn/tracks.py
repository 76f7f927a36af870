"""Movements as pictures: a table of x, y and t as the line that they draw, coloured by speed."""

import csv
import io
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from backend.domain.json import Json
from backend.imaging.drawn.canvas import INSIDE, coloured, framed
from backend.imaging.errors import UnreadableImage
from backend.imaging.facts import ImageFacts, Note

MAX_POINTS: Final = 20_000
"""Rows of a table that are drawn."""
FORMAT: Final = "TRACK"
_X, _Y = ("x",), ("y",)
_T: Final = ("t", "time", "timestamp")
_ID: Final = ("id", "track", "track_id", "stroke", "stroke_id", "pointer", "pointer_id")
_DELIMITERS: Final = (",", ";", "\t")
_LONGEST_HEADER: Final = 200
_FINER: Final = 2
"""The line is drawn so many times as large and made smaller, so that its edges are smooth."""
_WIDTH: Final = 4
"""Pixels of the line."""
_CIRCLE: Final = 9
"""Pixels from the middle to the edge of the circle around the first point."""
_BRISK: Final = 95
"""Percentile of a track's speeds that is drawn brightest: one jump of a sensor doesn't darken all the rest."""
_SLOWEST: Final = 0.25
"""Brightness of what doesn't move, so that it is seen on the dark ground."""

Points = NDArray[np.float64]


def settings() -> dict[str, Json]:
    """How movements are drawn; travels with every checkpoint."""
    return {
        "columns": "x, y, t",
        "colour": "speed",
        "brightest": f"{_BRISK}th percentile of the speeds",
        "first_point": "circle",
        "y": "downwards",
        "scale": "the whole track, both axes alike",
        "points": MAX_POINTS,
    }


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where x, y and t stand, and the id where there is one."""

    delimiter: str
    x: int
    y: int
    t: int
    id: int | None


def is_track(content: bytes) -> bool:
    """Whether these bytes are a table of a movement, by its header: x, y and t (or time), at most an id beside them.

    A table with any other column, or with names of files in its id column, is one of labels.
    """
    if (columns := _columns(content)) is None:
        return False
    if columns.id is None:
        return True
    head = _text(content[: 1 << 12]).splitlines()[1:50]
    return not any("." in row[columns.id] and not _is_number(row[columns.id]) for row in _rows(head, columns))


def draw(content: bytes) -> tuple[ImageFacts, Image.Image]:
    """Facts and picture of a movement: y downwards as on a screen, bright where it is fast, a circle where it begins.

    Raises:
        UnreadableImage: a row has no number where there should be one, or there are fewer than two points.
    """
    columns = _columns(content)
    assert columns is not None, "is_track was asked before"
    lines, is_cut = _read(content, columns)
    points = sum(map(len, lines))
    if points < 2:
        raise UnreadableImage("track-empty", "it has the columns x, y and t of a movement, but fewer than two rows")
    picture = framed(_drawn(lines))
    duration = max(line[-1, 2] for line in lines) - min(line[0, 2] for line in lines)
    notes = [_note(points, len(lines), duration)]
    if is_cut:
        notes.append(Note("track-cut", f"It has more rows: only the first {MAX_POINTS:,} points are drawn."))
    return ImageFacts(FORMAT, picture.width, picture.height, tuple(notes)), picture


def _note(points: int, lines: int, duration: float) -> Note:
    shown = f"{duration:,.0f}" if duration >= 100 else f"{duration:.3g}"
    several = f" in {lines:,} lines" if lines > 1 else ""
    return Note(
        "drawn-track",
        f"Drawn from a movement of {points:,} points{several} over {shown} (in the units of t): the line is "
        "brighter where it is faster, a circle marks where it begins, y goes down, and the whole movement fills the "
        "picture.",
    )


def _columns(content: bytes) -> _Columns | None:
    first = _text(content[:_LONGEST_HEADER]).partition("\n")[0]
    for delimiter in _DELIMITERS:
        names = [name.strip().strip("\"'").casefold() for name in first.split(delimiter)]
        if not 3 <= len(names) <= 4 or len(set(names)) < len(names):
            continue
        at = [next((names.index(word) for word in words if word in names), None) for words in (_X, _Y, _T, _ID)]
        x, y, t, id_ = at
        if x is not None and y is not None and t is not None and (len(names) == 3 or id_ is not None):
            return _Columns(delimiter, x, y, t, id_)
    return None


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    # Only numbers matter; Latin-1 has a letter for every byte.
    return content.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\0", "")


def _rows(lines: list[str] | io.StringIO, columns: _Columns) -> list[list[str]]:
    width = 3 if columns.id is None else 4
    filled = (row for row in csv.reader(lines, delimiter=columns.delimiter) if any(cell.strip() for cell in row))
    # The header, and one row more than is drawn, so that it shows whether there are more.
    return [row + [""] * (width - len(row)) for row in islice(filled, MAX_POINTS + 2)]


def _read(content: bytes, columns: _Columns) -> tuple[list[Points], bool]:
    """(M, 3) x, y, t of each line, in the order of time; and whether there are more rows than are read."""
    try:
        rows = _rows(io.StringIO(_text(content), newline=""), columns)[1:]
    except csv.Error as error:
        raise UnreadableImage("track-broken", "its rows can't be read. Save it as CSV from your program") from error
    is_cut = len(rows) > MAX_POINTS
    del rows[MAX_POINTS:]
    at_of = (columns.x, columns.y, columns.t)
    numbers = [[_value(row[at], line) for at in at_of] for line, row in enumerate(rows, 2)]
    values = np.array(numbers, dtype=float).reshape(-1, 3)
    ids = [row[columns.id] if columns.id is not None else "" for row in rows]
    order = sorted(range(len(rows)), key=lambda at: (ids[at], values[at, 2]))
    return [values[list(same)] for _, same in groupby(order, key=lambda at: ids[at])], is_cut


def _value(cell: str, line: int) -> float:
    try:
        value = float(cell.strip().replace(",", "."))
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or abs(value) > 1e15:
        raise UnreadableImage(
            "track-broken",
            f"line {line} has “{cell.strip()[:20]}” where a number is needed. It has the columns x, y and t, so it is "
            "read as a movement",
        )
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _drawn(lines: list[Points]) -> Image.Image:
    side = INSIDE * _FINER
    picture = Image.new("RGB", (side, side), tuple(int(level) for level in coloured(np.array(0.0))))
    pen = ImageDraw.Draw(picture)
    every = np.concatenate([line[:, :2] for line in lines])
    low, high = every.min(axis=0), every.max(axis=0)
    border = (_CIRCLE + _WIDTH) * _FINER
    scale = (side - 2 * border) / max(float((high - low).max()), 1e-12)
    speeds = [_speeds(line) for line in lines]
    brisk = max(float(np.percentile(np.concatenate([*speeds, np.zeros(1)]), _BRISK)), 1e-12)
    for line, speed in zip(lines, speeds, strict=True):
        at = (line[:, :2] - (low + high) / 2) * scale + side / 2
        colours = coloured(_SLOWEST + (1 - _SLOWEST) * np.minimum(speed / brisk, 1))
        _stroke(pen, at, colours)
    return picture.resize((INSIDE, INSIDE), Image.Resampling.BOX)


def _speeds(line: Points) -> Points:
    """(M - 1,) units a unit of time between one point and the next; the way itself where time doesn't pass."""
    ways = np.hypot(*np.diff(line[:, :2], axis=0).T)
    times = np.diff(line[:, 2])
    passing = times[times > 0]
    speeds: Points = ways / np.where(times > 0, times, passing.min() if len(passing) else 1.0)
    return speeds


def _stroke(pen: ImageDraw.ImageDraw, at: Points, colours: NDArray[np.uint8]) -> None:
    width, half = _WIDTH * _FINER, _WIDTH * _FINER / 2
    for (x0, y0), (x1, y1), colour in zip(at[:-1], at[1:], colours, strict=True):
        ink = (int(colour[0]), int(colour[1]), int(colour[2]))
        pen.line((x0, y0, x1, y1), fill=ink, width=width)
        # Round ends: else the corners of a sharp turn stay open.
        pen.ellipse((x1 - half, y1 - half, x1 + half, y1 + half), fill=ink)
    x, y, circle = at[0, 0], at[0, 1], _CIRCLE * _FINER
    pen.ellipse((x - circle, y - circle, x + circle, y + circle), outline=(255, 255, 255), width=width // 2)
