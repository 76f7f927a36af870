"""Filters of lists of pictures: a filter that doesn't exist is refused, never ignored."""

import re
from dataclasses import dataclass, fields, replace
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query
from sqlalchemy.orm import Session

from backend.datasets.errors import (
    ClassUnknown,
    FilterUnknown,
    FlagUnknown,
    IdsInvalid,
    NoVersionYet,
    RunHasNoResults,
    SideRangeInvalid,
    VersionNotFound,
)
from backend.datasets.pictures.details_repository import PictureDetails, TestedRun
from backend.datasets.pictures.filter import ImageFilter, ListOrder
from backend.datasets.pictures.flags import FLAGS
from backend.datasets.repository import DatasetRepository
from backend.datasets.versions import find_version, latest_version
from backend.tables.datasets import VersionRow

_ADDRESS: Final = {"label": "class", "begins_with": "from"}
"""Fields that have another name in an address."""
_VALUES: Final = {
    "split": ("", "train", "valid", "test"),
    "result": ("", "right", "wrong"),
    "order": ("", *ListOrder),
}
"""What a field may be, where that is one of few."""
MOST_IDS: Final = 200
"""Pictures that an address may name: some proxies take 8,000 characters."""
_ID: Final = re.compile(r"[0-9a-f]{32}")
_RANGE: Final = re.compile(r"(\d{0,6})-(\d{0,6})")


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What somebody asks a list of pictures for; empty texts mean no filter.

    Attributes:
        text: a part of the path.
        side: pixels of the shorter side, as ``100-499``, ``-99`` or ``2000-``.
        run, result: only pictures that this run was tested on; ``right`` or ``wrong``.
        begins_with: in the order of names or classes, where the list begins.
        ids: ids of single pictures, with commas between them.
    """

    version: str = ""
    label: str = ""
    split: str = ""
    flag: str = ""
    folder: str = ""
    text: str = ""
    side: str = ""
    run: str = ""
    result: str = ""
    order: str = ""
    begins_with: str = ""
    ids: str = ""

    @property
    def address(self) -> str:
        """As the query of an address; the same filter is the same address."""
        values = {_ADDRESS.get(field.name, field.name): getattr(self, field.name) for field in fields(self)}
        return urlencode({name: value for name, value in values.items() if value})

    @classmethod
    def of_address(cls, address: str) -> "ImageQuery":
        """The inverse of ``address``. A misspelt filter is refused: a bulk action would be for too many pictures.

        Raises:
            FilterUnknown
        """
        names = {_ADDRESS.get(field.name, field.name): field.name for field in fields(cls)}
        try:
            given = parse_qsl(address, keep_blank_values=True, strict_parsing=True) if address else []
        except ValueError:
            raise FilterUnknown(address) from None
        for name, value in given:
            if name not in names or value not in _VALUES.get(name, (value,)):
                raise FilterUnknown(f"{name}={value}")
        return cls(**{names[name]: value for name, value in given})

    def at(self, beginning: str) -> str:
        """The address of the same list, beginning elsewhere."""
        return replace(self, begins_with=beginning).address

    @property
    def is_filtered(self) -> bool:
        """Whether any picture may be left out."""
        return self != ImageQuery(order=self.order)


def _query(
    version: Annotated[str, Query(max_length=64, description="Only pictures that are in this version.")] = "",
    label: Annotated[str, Query(alias="class", max_length=200)] = "",
    split: Literal["", "train", "valid", "test"] = "",
    flag: Annotated[str, Query(max_length=64, description=f"One of {', '.join(FLAGS)}.")] = "",
    folder: Annotated[str, Query(max_length=4096, description="Only pictures in this folder and those below.")] = "",
    text: Annotated[str, Query(max_length=200, description="A part of the path, whatever its case.")] = "",
    side: Annotated[
        str, Query(max_length=13, description="Pixels of the shorter side: `100-499`, `-99` or `2000-`.")
    ] = "",
    run: Annotated[
        str, Query(max_length=64, description="Only pictures that this run's best model was tested on.")
    ] = "",
    result: Annotated[
        Literal["", "right", "wrong"], Query(description="With `run`: only those that it got right, or wrong.")
    ] = "",
    order: Annotated[
        Literal["", "arrival", "newest", "name", "class"],
        Query(description="`class` lists the pictures of a version, class by class."),
    ] = "",
    begins_with: Annotated[
        str,
        Query(alias="from", max_length=200, description="With `order=name` or `class`: begin with this name or class."),
    ] = "",
    ids: Annotated[
        str,
        Query(max_length=10_000, description=f"Only these pictures, at most {MOST_IDS}, with commas between."),
    ] = "",
) -> ImageQuery:
    return ImageQuery(version, label, split, flag, folder, text.strip(), side, run, result, order, begins_with, ids)


ImageQueryDep = Annotated[ImageQuery, Depends(_query)]
"""The filter in a request's address."""


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A filter that can be listed, with the version whose labels it shows, and the run whose answers."""

    chosen: ImageFilter
    version: VersionRow | None
    run: TestedRun | None = None


def checked(session: Session, dataset_id: str, query: ImageQuery) -> CheckedQuery:
    """The filter that ``query`` means; labels are those of the version named, else of the run's, else of the newest.

    Raises:
        DatasetNotFound
        VersionNotFound: the dataset has no such version.
        RunHasNoResults: the dataset has no such run with results.
        NoVersionYet: a class or set was asked for, and there is no version.
        ClassUnknown, FlagUnknown, SideRangeInvalid, IdsInvalid
    """
    DatasetRepository(session).get(dataset_id)
    run = PictureDetails(session).run(dataset_id, query.run) if query.run else None
    if (query.run and run is None) or (query.result and run is None):
        raise RunHasNoResults
    wanted = query.version or (run.version_id if run else "")
    version = find_version(session, wanted) if wanted else latest_version(session, dataset_id)
    if version is not None and version.dataset_id != dataset_id:
        raise VersionNotFound
    if version is None and (query.label or query.split or query.order == ListOrder.CLASS):
        raise NoVersionYet
    if version is not None and query.label and query.label not in version.classes:
        raise ClassUnknown(query.label, [str(name) for name in version.classes])
    if query.flag and query.flag not in FLAGS:
        raise FlagUnknown(query.flag, list(FLAGS))
    chosen = ImageFilter(
        version_id=version.id if version else "",
        only_version=bool(query.version),
        label=query.label or None,
        split=query.split or None,
        flag=query.flag or None,
        folder=query.folder.strip("/") or None,
        text=query.text or None,
        shorter_side=_sides(query.side),
        checkpoint_id=run.checkpoint_id if run else None,
        is_right=query.result == "right" if run and query.result else None,
        order=ListOrder(query.order or ListOrder.ARRIVAL),
        begins_with=_beginning(query),
        ids=_ids(query.ids),
    )
    return CheckedQuery(chosen, version, run)


def _beginning(query: ImageQuery) -> str | None:
    if not query.begins_with or query.order not in (ListOrder.NAME, ListOrder.CLASS):
        return None
    return query.begins_with.casefold() if query.order == ListOrder.NAME else query.begins_with


def _ids(text: str) -> tuple[str, ...] | None:
    if not text:
        return None
    found = tuple(dict.fromkeys(text.split(",")))
    if len(found) > MOST_IDS or not all(map(_ID.fullmatch, found)):
        raise IdsInvalid(MOST_IDS)
    return found


def _sides(text: str) -> tuple[int | None, int | None] | None:
    if not text:
        return None
    found = _RANGE.fullmatch(text)
    if found is None or text == "-":
        raise SideRangeInvalid(text)
    least, most = (int(side) if side else None for side in found.groups())
    return least, most
