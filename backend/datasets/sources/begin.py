"""Queue imports of pictures from elsewhere. Nothing is fetched here: a job does that, in a process of its own."""

from collections.abc import Sequence
from typing import Any, Final

from backend.datasets.import_queue.address_lists import keep_addresses
from backend.datasets.import_queue.queueing import queue_import, queue_links
from backend.datasets.repository import DatasetRepository
from backend.datasets.samples import find_sample
from backend.datasets.sources.buckets import NAME, REGION, BucketKeys
from backend.datasets.sources.errors import BucketUnusable, LinkUnusable
from backend.datasets.sources.sealing import seal
from backend.datasets.sources.server_folders import ServerFolders
from backend.domain.ids import ImportId
from backend.ledger.unit_of_work import OpenUnit, UnitOfWork
from backend.outbound.addresses import parse
from backend.outbound.errors import Unfetched
from backend.storage.base import Storage

_LONGEST: Final = 1_024


def take_sample(unit: UnitOfWork, dataset_id: str, name: str) -> ImportId:
    """Queue a job that adds a sample's pictures.

    Raises:
        DatasetNotFound, SampleNotFound, SampleNotInstalled
    """
    sample = find_sample(name)
    source = {"kind": "sample", "name": sample.name}
    return queue_import(unit, dataset_id, source, entries_total=0 if sample.download else sample.images)


def take_links(
    open_unit: OpenUnit, storage: Storage, dataset_id: str, addresses: Sequence[str], label: str
) -> ImportId:
    """Queue a job that fetches pictures by their addresses; each gets a path such as ``grizzly/0001-name.jpg``.

    Raises:
        DatasetNotFound, NoAddresses, TooManyAddresses, LabelUnusable
    """
    with open_unit() as unit:
        DatasetRepository(unit.session).get(dataset_id)
    digest, entries = keep_addresses(storage, addresses, label)
    with open_unit() as unit:
        return queue_links(unit, dataset_id, label.strip(), digest, entries)


def take_archive_at(unit: UnitOfWork, dataset_id: str, url: str) -> ImportId:
    """Queue a job that downloads an archive and adds its pictures.

    Raises:
        DatasetNotFound
        LinkUnusable: this can't be an address.
    """
    try:
        address = parse(url)
    except Unfetched as error:
        raise LinkUnusable(error) from error
    return queue_import(unit, dataset_id, {"kind": "download", "url": str(address)})


def take_server_folder(unit: UnitOfWork, dataset_id: str, folders: ServerFolders, path: str) -> ImportId:
    """Queue a job that adds the files of a folder of the server; the folder stays as it is.

    Raises:
        DatasetNotFound, FolderUnusable
    """
    return queue_import(unit, dataset_id, {"kind": "folder", "path": folders.checked(path)})


def take_bucket(
    unit: UnitOfWork,
    storage: Storage,
    dataset_id: str,
    *,
    bucket: str,
    prefix: str = "",
    endpoint: str = "",
    region: str = "",
    keys: BucketKeys | None = None,
    server_endpoint: str = "",
) -> ImportId:
    """Queue a job that adds the objects of an S3 bucket.

    Args:
        endpoint: address of the S3 server; empty for ``server_endpoint``, and where that is empty too, Amazon's.
        keys: for this import only; without, those of the server's environment.

    Raises:
        DatasetNotFound, BucketUnusable, LinkUnusable
    """
    if not NAME.fullmatch(bucket):
        raise BucketUnusable("bucket", "it has 3 to 63 small letters, digits, dots and hyphens")
    if region and not REGION.fullmatch(region):
        raise BucketUnusable("region", "it looks like eu-central-1")
    if len(prefix) > _LONGEST:
        raise BucketUnusable("prefix", f"it has more than {_LONGEST:,} letters")
    if keys is not None and bool(keys.access_key) != bool(keys.secret_key):
        raise BucketUnusable("secret_key", "it and its secret belong together")
    source: dict[str, Any] = {
        "kind": "bucket",
        "bucket": bucket,
        "prefix": prefix,
        "endpoint": _endpoint(endpoint) if endpoint else server_endpoint,
        "region": region,
    }
    if keys is not None and keys.access_key:
        secrets = {
            "access_key": keys.access_key,
            "secret_key": keys.secret_key,
            "session_token": keys.session_token,
        }
        source["sealed"] = seal(storage, secrets)
    return queue_import(unit, dataset_id, source)


def _endpoint(text: str) -> str:
    try:
        address = parse(text)
    except Unfetched as error:
        raise LinkUnusable(error) from error
    if address.target != "/":
        raise BucketUnusable("endpoint", "it ends after the server's name, such as https://s3.example.org")
    return f"{address.scheme}://{address.authority}"
