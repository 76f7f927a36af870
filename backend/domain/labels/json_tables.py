"""Labels in JSON, as other tools write them, laid out as a table.

Our own exports, COCO, Label Studio, FiftyOne, rows of objects (also one a line, as Hugging Face's ``metadata.jsonl``),
and a map from names to labels. A picture with several different labels gets a row for each, so that the contradiction
shows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from backend.domain.images import is_item_name
from backend.domain.labels.tables import NAME_WORDS

TELLAPART_FORMAT: Final = "tellapart-dataset"
"""By which an exported version's ``tellapart.json`` is known."""
MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 1_000_000
_MAX_COLUMNS: Final = 50
_LOOKED_AT: Final = 200
"""Rows that decide which layout it is."""
_MOST: Final = 0.5


class JsonLayout(StrEnum):
    """In which form a JSON file holds labels."""

    TELLAPART = "tellapart"
    COCO = "coco"
    LABEL_STUDIO = "label-studio"
    FIFTYONE = "fiftyone"
    RECORDS = "records"
    MAP = "map"


class NoJsonTable(Exception):
    """JSON that holds no labels of files; the reason follows “because”."""


@dataclass(frozen=True, slots=True)
class JsonTable:
    """Labels as a table: names of the columns, and a cell for each column in each row."""

    layout: JsonLayout
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def read_json_table(content: bytes) -> JsonTable:
    """The labels in a JSON file.

    Raises:
        NoJsonTable: it is damaged, too large or too deep, or holds something else.
    """
    if len(content) > MAX_BYTES:
        raise NoJsonTable(f"it is a JSON file of more than {MAX_BYTES >> 20} MB. Save its labels as CSV")
    whole = _parsed(content)
    for read in (_tellapart, _coco, _fiftyone, _label_studio, _records, _map):
        if (table := read(whole)) is not None:
            if len(table.rows) > MAX_ROWS:
                raise NoJsonTable(f"it is a JSON file with more than {MAX_ROWS:,} labels. Save them as CSV")
            return table
    raise NoJsonTable(
        "it is a JSON file, not a picture, and none with labels that can be read: those of COCO, Label Studio and "
        "FiftyOne, rows with the names of files, and maps from names to labels can"
    )


def _parsed(content: bytes) -> Any:  # Any: what somebody sent
    try:
        return json.loads(content)
    except RecursionError:
        raise NoJsonTable("it is a JSON file with too many lists and objects inside one another") from None
    except ValueError as error:
        if (rows := _json_lines(content)) is not None:
            return rows
        raise NoJsonTable("it is a damaged JSON file. Copy or download it once more") from error


def _json_lines(content: bytes) -> list[Any] | None:  # Any: what somebody sent
    rows = []
    try:
        for line in content.decode("utf-8-sig").splitlines():
            if line.strip():
                rows.append(json.loads(line))
    except (ValueError, RecursionError):
        return None
    return rows


def _tellapart(whole: Any) -> JsonTable | None:  # Any: JSON, here and below
    if not isinstance(whole, dict) or whole.get("format") != TELLAPART_FORMAT:
        return None
    columns = ("file", "label", "split")
    rows = [tuple(_text(one.get(name)) for name in columns) for one in _objects(whole.get("images"))]
    return JsonTable(JsonLayout.TELLAPART, columns, rows) if rows else None


def _coco(whole: Any) -> JsonTable | None:
    if not isinstance(whole, dict) or not {"images", "annotations", "categories"} <= whole.keys():
        return None
    names = {_key(one, "id"): _text(one.get("name")) for one in _objects(whole["categories"])}
    of_image: dict[str, dict[str, None]] = {}
    for one in _objects(whole["annotations"]):
        if name := names.get(_key(one, "category_id")):
            of_image.setdefault(_key(one, "image_id"), {})[name] = None
    rows = [
        (_text(one.get("file_name")), label)
        for one in _objects(whole["images"])
        for label in of_image.get(_key(one, "id")) or ("",)
    ]
    return JsonTable(JsonLayout.COCO, ("file_name", "category"), rows) if rows and names else None


def _fiftyone(whole: Any) -> JsonTable | None:
    if not isinstance(whole, dict) or not isinstance(whole.get("labels"), dict):
        return None
    classes = whole.get("classes")
    if classes is not None and not isinstance(classes, list):
        return None
    rows = [
        (name, label)
        for name, given in whole["labels"].items()
        for label in dict.fromkeys(_class_names(given, classes)) or ("",)
    ]
    return JsonTable(JsonLayout.FIFTYONE, ("name", "label"), rows) if rows else None


def _class_names(given: Any, classes: Sequence[Any] | None) -> Iterator[str]:
    """The labels of one file: an index or a name, in an object with a confidence, or several of them in a list."""
    for one in given if isinstance(given, list) else [given]:
        label = one.get("label") if isinstance(one, dict) else one
        if isinstance(label, int) and not isinstance(label, bool) and classes is not None:
            label = classes[label] if 0 <= label < len(classes) else None
        if text := _text(label):
            yield text


def _label_studio(whole: Any) -> JsonTable | None:
    tasks = [one for one in _objects(whole) if isinstance(one.get("data"), dict)]
    if not tasks or not any("annotations" in one or "completions" in one for one in tasks[:_LOOKED_AT]):
        return None
    found = [(_file_of(task), [*_choices(task)]) for task in tasks]
    controls = [*dict.fromkeys(name for _, annotations in found for one in annotations for name in one)] or ["choice"]
    rows = [
        (file, *row)
        for file, annotations in found
        for row in dict.fromkeys(row for one in annotations for row in _filled_rows(one, controls))
        or [("",) * len(controls)]
    ]
    return JsonTable(JsonLayout.LABEL_STUDIO, ("file", *controls[: _MAX_COLUMNS - 1]), rows)


def _file_of(task: Mapping[str, Any]) -> str:
    texts = [value for value in task["data"].values() if isinstance(value, str)]
    named = next((text for text in texts if is_item_name(text.partition("?")[0]) or is_item_name(text)), None)
    return named or _text(task.get("file_upload")) or next(iter(texts), "")


def _choices(task: Mapping[str, Any]) -> Iterator[dict[str, list[str]]]:
    """What each annotation chose, by the name of the control."""
    for annotation in _objects(task.get("annotations") or task.get("completions") or []):
        if annotation.get("was_cancelled"):
            continue
        chosen: dict[str, list[str]] = {}
        for result in _objects(annotation.get("result") or []):
            value = result.get("value")
            if isinstance(value, dict) and isinstance(value.get("choices"), list):
                name = _text(result.get("from_name")) or "choice"
                chosen.setdefault(name, []).extend(filter(None, map(_text, value["choices"])))
        if chosen:
            yield chosen


def _filled_rows(chosen: Mapping[str, list[str]], controls: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each choice of an annotation."""
    used = [chosen.get(name) or [""] for name in controls[: _MAX_COLUMNS - 1]]
    for at in range(max(map(len, used))):
        yield tuple(labels[min(at, len(labels) - 1)] for labels in used)


def _records(whole: Any) -> JsonTable | None:
    if not isinstance(whole, list):
        return None
    records = [*_objects(whole)]
    if not records or len(records) < _MOST * len(whole):
        return None
    columns = [*islice(dict.fromkeys(key for one in records[:_LOOKED_AT] for key in one), _MAX_COLUMNS)]
    columns = [key for key in columns if any(_cell(one.get(key)) for one in records[:_LOOKED_AT])]
    if len(columns) < 2 or not any(_names_files(key, records) for key in columns):
        return None
    rows = [tuple(_cell(one.get(key)) for key in columns) for one in records]
    return JsonTable(JsonLayout.RECORDS, tuple(columns), rows)


def _names_files(column: str, records: Sequence[Mapping[str, Any]]) -> bool:
    cells = [cell for one in records[:_LOOKED_AT] if (cell := _cell(one.get(column)))]
    named = sum(map(is_item_name, cells))
    return column.casefold() in NAME_WORDS - {"id", "name"} or 0 < _MOST * len(cells) <= named


def _map(whole: Any) -> JsonTable | None:
    if not isinstance(whole, dict):
        return None
    labels = {name: cell for name, value in whole.items() if (cell := _cell(value))}
    named = sum(map(is_item_name, islice(labels, _LOOKED_AT)))
    if not labels or named < _MOST * min(len(labels), _LOOKED_AT) or len(labels) < _MOST * len(whole):
        return None
    return JsonTable(JsonLayout.MAP, ("name", "label"), [*labels.items()])


def _objects(value: Any) -> Iterable[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _key(one: Mapping[str, Any], name: str) -> str:
    # 1 and "1" mean the same: some tools write one in one place and the other in another.
    return _text(one.get(name))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def _cell(value: Any) -> str:
    """A value as a table would have it; of a list, what is in it; nothing for an object."""
    if isinstance(value, dict):  # Label Studio's short form of several choices
        value = value.get("choices")
    if isinstance(value, list):
        return "|".join(filter(None, map(_text, value[:_MAX_COLUMNS])))
    return _text(value)
