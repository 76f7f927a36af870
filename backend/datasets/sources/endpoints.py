"""Pictures from elsewhere, by REST."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.bodies import LargeJsonRoute
from backend.datasets.import_view import read_import
from backend.datasets.repository import DatasetRepository
from backend.datasets.schemas import BucketRef, FromUrls, ImportRead, ServerFolderRead, ServerFoldersRead
from backend.datasets.sources.begin import take_archive_at, take_bucket, take_links, take_sample, take_server_folder
from backend.datasets.sources.buckets import BucketKeys
from backend.datasets.sources.errors import NothingAsked
from backend.datasets.sources.server_folders import ServerFolders
from backend.dependencies import Services, ServicesDep, SettingsDep
from backend.domain.ids import ImportId

router = APIRouter(prefix="/api/v1", tags=["datasets"], route_class=LargeJsonRoute)


@router.post("/datasets/{dataset_id}/from-urls", status_code=202)
def import_from_elsewhere(dataset_id: str, body: FromUrls, services: ServicesDep) -> ImportRead:
    """Add pictures by their addresses, an archive by its address, a sample, a folder of the server, or a bucket."""
    import_id = _taken(services, dataset_id, body)
    with services.database.read() as session:
        return read_import(DatasetRepository(session), import_id)


def _taken(services: Services, dataset_id: str, body: FromUrls) -> ImportId:
    named = [
        value for value in (body.urls, body.archive_url, body.sample, body.server_folder, body.s3) if value is not None
    ]
    if len(named) != 1:
        raise NothingAsked
    if body.urls is not None:
        return take_links(services.open_unit(), services.storage, dataset_id, body.urls, body.label or "")
    with services.open_unit()() as unit:
        if body.archive_url is not None:
            return take_archive_at(unit, dataset_id, body.archive_url)
        if body.sample is not None:
            return take_sample(unit, dataset_id, body.sample)
        if body.server_folder is not None:
            folders = ServerFolders(services.settings.import_folders)
            return take_server_folder(unit, dataset_id, folders, body.server_folder)
        assert body.s3 is not None
        return take_bucket(
            unit,
            services.storage,
            dataset_id,
            bucket=body.s3.bucket,
            prefix=body.s3.prefix,
            endpoint=body.s3.endpoint,
            region=body.s3.region,
            keys=_keys(body.s3),
            server_endpoint=services.settings.bucket_endpoint,
        )


def _keys(asked: BucketRef) -> BucketKeys | None:
    if not asked.access_key and not asked.secret_key.get_secret_value():
        return None
    return BucketKeys(asked.access_key, asked.secret_key.get_secret_value(), asked.session_token.get_secret_value())


@router.get("/server-folders")
def list_server_folders(
    settings: SettingsDep,
    path: Annotated[str, Query(max_length=4096, description="Of a folder; without it, the folders to begin at.")] = "",
) -> ServerFoldersRead:
    """Folders of the server below those of `TELLAPART_IMPORT_ROOTS`."""
    found = ServerFolders(settings.import_folders).listing(path)
    return ServerFoldersRead(
        items=[ServerFolderRead(path=one.path, name=one.name, files=one.files) for one in found.folders],
        has_more=found.has_more,
    )
