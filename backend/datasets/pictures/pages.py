"""Pages of a dataset's pictures: all of them with filters, one of them, and deleting some."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.datasets.context import dataset_context
from backend.datasets.pictures.details import SETS, details_of, file_about
from backend.datasets.pictures.details_repository import PictureDetails
from backend.datasets.pictures.filter import ListOrder
from backend.datasets.pictures.flags import FLAG_WORDS
from backend.datasets.pictures.listing import CheckedQuery, ImageQuery, ImageQueryDep, checked
from backend.datasets.pictures.repository import LOOKED_THROUGH, MOST_COUNTED, Count, PictureLists
from backend.datasets.pictures.tile import Tile, words_of
from backend.datasets.urls import image_url, original_url, thumbnail_url
from backend.dependencies import ReadDep, StorageDep
from backend.domain.ids import Digest
from backend.imaging.facts import DRAWN_NOTES, SOUND_TYPES
from backend.imaging.pool import decoding_pool
from backend.journey.steps import StepName
from backend.pagination import IdCursorDep
from backend.templating import counted, is_fragment, page

router = APIRouter(include_in_schema=False)

FIRST_TILES: Final = 60
"""Pictures that come with the page; a script fetches the others as they are scrolled to."""
FOLDERS_SHOWN: Final = 500
SHOWN_WHOLE: Final = 2_000_000
"""Bytes up to which a picture's page shows the picture itself, and not a smaller copy."""
_SIDES: Final = {
    "-63": "Below 64 pixels",
    "64-223": "64 to 223 pixels",
    "224-1023": "224 to 1,023 pixels",
    "1024-": "1,024 pixels and more",
}
_ORDERS: Final = {"": "As they came", "newest": "Newest first", "name": "By name", "class": "By class"}

_SAID_BY_NOTES: Final = frozenset({"pages_left_out", "frames_left_out", "levels_nearly_unused", "levels_half_unused"})
"""Flags of which the notes of a picture say more."""


@router.get("/datasets/{dataset_id}/images")
def images(
    request: Request, session: ReadDep, dataset_id: str, query: ImageQueryDep, after: IdCursorDep = None
) -> Response:
    """All pictures, or those that filters choose."""
    if query.result and not query.run:
        # A form without a script sends all of its fields.
        query = replace(query, result="")
    lists = PictureLists(session)
    context = dataset_context(session, dataset_id, StepName.PICTURES) | {"here": "All pictures"}
    found = checked(session, dataset_id, query)
    shown = lists.page(dataset_id, found.chosen, limit=FIRST_TILES, after=after)
    total = lists.count(dataset_id, found.chosen)
    here = f"/datasets/{dataset_id}/images"
    return page(
        request,
        "datasets/images.html",
        **context,
        **_choices(session, dataset_id, found, query),
        version=found.version,
        query=query,
        query_address=query.address,
        total=total,
        count_words=_count_words(total),
        looked_through=LOOKED_THROUGH,
        tiles=[Tile.of(image, query.address) for image in shown.images],
        after=after,
        next=shown.next,
        next_path=_path(here, query, after=shown.next) if shown.next else None,
        first_path=_path(here, query) if after else None,
    )


@router.get("/datasets/{dataset_id}/images/{image_id}")
def image(
    request: Request, session: ReadDep, storage: StorageDep, dataset_id: str, image_id: str, query: ImageQueryDep
) -> Response:
    """One picture, large, with all that is known of it; only that part for the panel beside the grid."""
    lists = PictureLists(session)
    context = dataset_context(session, dataset_id, StepName.PICTURES) | {"here": "Picture"}
    found = checked(session, dataset_id, query)
    details = details_of(session, dataset_id, image_id, found.version.id if found.version else None)
    before, after = lists.beside(dataset_id, found.chosen, image_id)
    row = details.image.row
    # The connection isn't needed while the file is read.
    session.close()
    here = f"/datasets/{dataset_id}/images"
    context |= {
        "image": row,
        "words": words_of(details.image),
        "label": details.image.label,
        "split": details.image.split,
        "sets": SETS,
        "version": found.version,
        # What a note says in a sentence needs no second word.
        "flags": [FLAG_WORDS[flag] for flag in details.image.flags if flag not in _SAID_BY_NOTES],
        "notes": [note for note in row.notes if note["code"] not in DRAWN_NOTES],
        "drawn_from": next((note["message"] for note in row.notes if note["code"] in DRAWN_NOTES), ""),
        "is_sound": row.format in SOUND_TYPES,
        "names": details.paths,
        "labels": details.labels,
        "answers": details.answers,
        "about": file_about(storage, decoding_pool(), Digest(row.digest)),
        "page_path": _path(f"{here}/{image_id}", query),
        "original": original_url(image_id, row.digest),
    }
    if is_fragment(request):
        preview = thumbnail_url(image_id, 768, row.digest)
        return page(request, "datasets/_panel.html", **context, preview=preview)
    return page(
        request,
        "datasets/image.html",
        **context,
        large=image_url(image_id, row.digest) if row.bytes <= SHOWN_WHOLE else thumbnail_url(image_id, 768, row.digest),
        list_path=_path(here, query),
        is_filtered=query.is_filtered,
        before=_path(f"{here}/{before}", query) if before else None,
        after=_path(f"{here}/{after}", query) if after else None,
    )


def _choices(
    session: Session, dataset_id: str, found: CheckedQuery, query: ImageQuery
) -> dict[str, Any]:  # Any: the template's context
    """What the filters can be set to."""
    lists = PictureLists(session)
    classes = [str(name) for name in found.version.classes] if found.version else []
    initials = lists.initials(dataset_id) if query.order == ListOrder.NAME else []
    orders = {value: words for value, words in _ORDERS.items() if classes or value != ListOrder.CLASS}
    runs = PictureDetails(session).runs(dataset_id)
    return {
        "class_options": _options("All classes", {name: name for name in classes}),
        "split_options": _options("All", SETS),
        "folder_options": _options("All folders", {name: name for name in lists.folders(dataset_id, FOLDERS_SHOWN)}),
        "flag_options": _options("Any", {flag: words for flag, (words, _) in FLAG_WORDS.items()}),
        "side_options": _options("Any size", _SIDES | ({query.side: query.side} if query.side else {}) | _SIDES),
        "run_options": _options("Any", {run.id: f"{run.name} (version {run.version})" for run in runs}),
        "result_options": _options("Right or wrong", {"right": "Right", "wrong": "Wrong"}),
        "order_options": list(orders.items()),
        "jumps": _jumps(initials),
        "class_jumps": _options("The first class", {name: name for name in classes}),
    }


def _jumps(initials: Iterable[str]) -> list[tuple[str, str]]:
    """(words, value) of the letters that a list by name can begin with; digits are one of them."""
    letters = [letter for letter in initials if letter.isalnum() and not letter.isdigit()]
    digits = [letter for letter in initials if letter.isdigit()]
    return [("0–9", digit) for digit in digits[:1]] + [(letter.upper(), letter) for letter in letters]


def _count_words(total: Count) -> str:
    if total.is_exact:
        return counted(total.images, "picture")
    if total.images >= MOST_COUNTED:
        return f"More than {counted(MOST_COUNTED, 'picture')}"
    if total.images:
        return f"At least {counted(total.images, 'picture')}"
    return f"None among the first {LOOKED_THROUGH:,} pictures"


def _options(every: str, options: dict[str, str]) -> list[tuple[str, str]]:
    return [("", every), *options.items()]


def _path(path: str, query: ImageQuery, after: str | None = None) -> str:
    asked = "&".join(filter(None, (query.address, f"after={after}" if after else "")))
    return f"{path}?{asked}" if asked else path
