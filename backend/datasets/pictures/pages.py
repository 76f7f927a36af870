"""Pages of a dataset's pictures: all of them with filters, one of them, and deleting some."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from backend.datasets.context import dataset_context
from backend.datasets.deletion.remove import remove_images
from backend.datasets.pictures.listing import ImageQuery, checked
from backend.datasets.pictures.repository import PictureLists
from backend.datasets.pictures.tile import Tile
from backend.datasets.urls import image_url, original_url, thumbnail_url
from backend.dependencies import ReadDep, ServicesDep
from backend.journey.steps import StepName
from backend.pagination import IdCursorDep
from backend.templating import counted, go_to, page

router = APIRouter(include_in_schema=False)

PICTURES_A_PAGE = 120
FOLDERS_SHOWN = 500
SHOWN_WHOLE = 2_000_000
"""Bytes up to which a picture's page shows the picture itself, and not a smaller copy."""
_FLAG_WORDS = {
    "exact_duplicate": "Exact copies",
    "near_duplicate": "Near copies",
    "moment": "Taken moments apart",
    "blank": "Nearly blank",
    "blurred": "Blurred",
    "dark": "Nearly black",
    "light": "Nearly white",
    "tiny": "Very small",
    "huge": "Very large",
    "odd_aspect": "Very long or very wide",
    "wrong_extension": "Name ends in another format",
}


@router.get("/datasets/{dataset_id}/images")
def images(
    request: Request,
    session: ReadDep,
    dataset_id: str,
    label: Annotated[str, Query(alias="class", max_length=200)] = "",
    split: Literal["", "train", "valid", "test"] = "",
    version: Annotated[str, Query(max_length=64)] = "",
    folder: Annotated[str, Query(max_length=4096)] = "",
    flag: Annotated[str, Query(max_length=64)] = "",
    after: IdCursorDep = None,
) -> Response:
    """All pictures, or those that filters choose."""
    lists = PictureLists(session)
    context = dataset_context(session, dataset_id, StepName.PICTURES) | {"here": "All pictures"}
    chosen, of_version = checked(session, dataset_id, ImageQuery(version, label, split, flag, folder))
    found = lists.images(dataset_id, chosen, limit=PICTURES_A_PAGE + 1, after=after)
    shown = found[:PICTURES_A_PAGE]
    query = {"class": label, "split": split, "version": version, "folder": folder, "flag": flag}
    here = f"/datasets/{dataset_id}/images"
    return page(
        request,
        "datasets/images.html",
        **context,
        version=of_version,
        query=query,
        total=lists.count_images(dataset_id, chosen),
        is_filtered=any(query.values()),
        class_options=_options(
            "All classes", {str(name): str(name) for name in of_version.classes} if of_version else {}
        ),
        folder_options=_options("All folders", {name: name for name in lists.folders(dataset_id, FOLDERS_SHOWN)}),
        flag_options=_options("All pictures", _FLAG_WORDS),
        tiles=[Tile.of(image) for image in shown],
        here_path=_path(here, **query),
        next_path=_path(here, **query, after=shown[-1].row.id) if len(found) > PICTURES_A_PAGE else None,
        first_path=_path(here, **query) if after else None,
    )


@router.post("/datasets/{dataset_id}/images/delete")
def delete_images(
    request: Request,
    services: ServicesDep,
    dataset_id: str,
    ids: Annotated[list[str], Form(max_length=PICTURES_A_PAGE)] = [],  # noqa: B006  # FastAPI copies it
    back: Annotated[str, Form(max_length=8192)] = "",
) -> Response:
    """Delete the pictures that are ticked, and show the list again."""
    deleted = remove_images(services.open_unit(), services.storage, dataset_id, ids).deleted
    path = f"/datasets/{dataset_id}/images"
    # Only our own list, whatever the form says.
    query = back.partition("?")[2] if back.startswith(f"{path}?") else ""
    return go_to(request, f"{path}?{query}" if query else path, f"{counted(deleted, 'picture')} deleted.")


@router.get("/datasets/{dataset_id}/images/{image_id}")
def image(request: Request, session: ReadDep, dataset_id: str, image_id: str) -> Response:
    """One picture, large, with what is known of it."""
    lists = PictureLists(session)
    context = dataset_context(session, dataset_id, StepName.PICTURES) | {"here": "Picture"}
    found = lists.listed_image(dataset_id, image_id)
    row = found.row
    before, after = lists.neighbours(dataset_id, image_id)
    here = f"/datasets/{dataset_id}/images"
    return page(
        request,
        "datasets/image.html",
        **context,
        image=row,
        label=found.label,
        split=found.split,
        # Of flags without words the picture's own notes say more.
        flags=[_FLAG_WORDS[flag] for flag in found.flags if flag in _FLAG_WORDS],
        names=lists.names_of(image_id),
        large=image_url(image_id, row.digest) if row.bytes <= SHOWN_WHOLE else thumbnail_url(image_id, 768, row.digest),
        original=original_url(image_id, row.digest),
        before=before and f"{here}/{before}",
        after=after and f"{here}/{after}",
    )


def _options(every: str, options: dict[str, str]) -> list[tuple[str, str]]:
    return [("", every), *options.items()]


def _path(path: str, **query: str) -> str:
    asked = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{asked}" if asked else path
