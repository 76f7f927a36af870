"""Pages where pictures are named that are elsewhere: by links, in a folder of the server, in a bucket."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from backend.datasets.context import dataset_context
from backend.datasets.sources.begin import take_archive_at, take_bucket, take_links, take_server_folder
from backend.datasets.sources.buckets import BucketKeys
from backend.datasets.sources.errors import FolderUnusable
from backend.datasets.sources.server_folders import ServerFolders
from backend.dependencies import ReadDep, Services, ServicesDep, SettingsDep
from backend.domain.errors import AppError, InvalidInput, LimitExceeded, NotFound
from backend.journey.steps import StepName
from backend.templating import address, page

router = APIRouter(include_in_schema=False)

_ARCHIVE = re.compile(r"(?i)^https?://[^\s?#]+\.(zip|tar|tgz|tar\.gz)([?#]\S*)?$")
LinesForm = Annotated[str, Form(max_length=16 << 20)]
TextForm = Annotated[str, Form(max_length=4096)]


@router.get("/datasets/{dataset_id}/from-link")
def links(request: Request, session: ReadDep, dataset_id: str) -> Response:
    """Paste addresses."""
    return page(request, "datasets/from_link.html", **_context(session, dataset_id), addresses="", label="", error=None)


@router.post("/datasets/{dataset_id}/from-link")
def take_from_links(
    request: Request, services: ServicesDep, dataset_id: str, addresses: LinesForm = "", label: TextForm = ""
) -> Response:
    """Import what the addresses lead to: one that ends like an archive is one, everything else are pictures."""
    lines = [line.strip() for line in addresses.splitlines() if line.strip()]
    try:
        if len(lines) == 1 and _ARCHIVE.match(lines[0]):
            with services.open_unit()() as unit:
                take_archive_at(unit, dataset_id, lines[0])
        else:
            take_links(services.open_unit(), services.storage, dataset_id, lines, label)
    except (InvalidInput, LimitExceeded) as error:
        typed = {"addresses": addresses, "label": label}
        return _again(request, services, dataset_id, "datasets/from_link.html", error, typed)
    return _back(request, dataset_id)


@router.get("/datasets/{dataset_id}/from-server")
def server_folders(
    request: Request,
    session: ReadDep,
    settings: SettingsDep,
    dataset_id: str,
    folder: Annotated[str, Query(max_length=4096)] = "",
) -> Response:
    """Choose a folder of the server by clicking through those that may be seen."""
    folders = ServerFolders(settings.import_folders)
    error: AppError | None = None
    try:
        listing = folders.listing(folder)
    except FolderUnusable as gone:
        listing, error = folders.listing(), gone
    return page(
        request,
        "datasets/from_server.html",
        status=404 if error else 200,
        **_context(session, dataset_id),
        listing=listing,
        has_roots=folders.has_roots,
        error=error,
    )


@router.post("/datasets/{dataset_id}/from-server")
def take_from_server(request: Request, services: ServicesDep, dataset_id: str, folder: TextForm = "") -> Response:
    """Import a folder of the server."""
    folders = ServerFolders(services.settings.import_folders)
    try:
        with services.open_unit()() as unit:
            take_server_folder(unit, dataset_id, folders, folder)
    except NotFound as error:
        if not isinstance(error, FolderUnusable):
            raise
        typed = {"listing": folders.listing(), "has_roots": folders.has_roots}
        return _again(request, services, dataset_id, "datasets/from_server.html", error, typed)
    return _back(request, dataset_id)


@router.get("/datasets/{dataset_id}/from-bucket")
def bucket(request: Request, session: ReadDep, settings: SettingsDep, dataset_id: str) -> Response:
    """Name a bucket and a key that may read it."""
    return page(
        request,
        "datasets/from_bucket.html",
        **_context(session, dataset_id),
        typed={},
        has_keys=settings.aws_access_key_id is not None,
        error=None,
    )


@router.post("/datasets/{dataset_id}/from-bucket")
def take_from_bucket(
    request: Request,
    services: ServicesDep,
    dataset_id: str,
    bucket: TextForm = "",
    prefix: TextForm = "",
    endpoint: TextForm = "",
    region: TextForm = "",
    access_key: TextForm = "",
    secret_key: TextForm = "",
) -> Response:
    """Import a bucket."""
    typed = {"bucket": bucket, "prefix": prefix, "endpoint": endpoint, "region": region, "access_key": access_key}
    given = {name: text.strip() for name, text in typed.items()}
    key = given.pop("access_key")
    try:
        with services.open_unit()() as unit:
            take_bucket(
                unit,
                services.storage,
                dataset_id,
                **given,
                keys=BucketKeys(key, secret_key.strip()) if key or secret_key.strip() else None,
                server_endpoint=services.settings.bucket_endpoint,
            )
    except InvalidInput as error:
        # The secret isn't sent back to the page.
        context = {"typed": typed, "has_keys": services.settings.aws_access_key_id is not None}
        return _again(request, services, dataset_id, "datasets/from_bucket.html", error, context)
    return _back(request, dataset_id)


def _context(session: ReadDep, dataset_id: str) -> dict[str, Any]:  # Any: the template's context
    return dataset_context(session, dataset_id, StepName.PICTURES)


def _again(
    request: Request,
    services: Services,
    dataset_id: str,
    template: str,
    error: AppError,
    context: dict[str, Any],  # Any: the template's context
) -> Response:
    with services.database.read() as session:
        return page(request, template, status=422, **_context(session, dataset_id), **context, error=error)


def _back(request: Request, dataset_id: str) -> Response:
    return RedirectResponse(address(request, f"/datasets/{dataset_id}"), 303)
