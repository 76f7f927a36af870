"""An S3 bucket. botocore makes and signs the requests and reads the answers; our own client sends them."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.datasets.import_queue.lists import MOST, kept_list
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile
from backend.datasets.sources.errors import BucketRefused, DownloadFailed, SourceTooLarge
from backend.datasets.sources.parallel import in_order
from backend.domain.ids import Digest
from backend.domain.json import Json
from backend.imaging.errors import Refused
from backend.outbound.addresses import parse
from backend.outbound.client import Client, Limits
from backend.outbound.errors import Stopped, Unfetched
from backend.storage.base import Storage

NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
REQUESTS_A_SECOND: Final = 200.0
"""An S3 server is made for many."""
_LIMITS: Final = Limits(bytes=MAX_FILE_BYTES, total_s=120.0)
_TOO_LARGE: Final = Refused("image-file-too-large", f"larger than {MAX_FILE_BYTES >> 20} MB")
_REASONS: Final = {
    "NoSuchBucket": "there is none of that name",
    "InvalidBucketName": "there is none of that name",
    "AccessDenied": "the key may not list or read it",
    "AllAccessDisabled": "the key may not list or read it",
    "403": "the key may not list or read it",
    "InvalidAccessKeyId": "the server doesn't know the key",
    "SignatureDoesNotMatch": "the secret doesn't belong to the key",
    "ExpiredToken": "the key has expired",
    "InvalidToken": "the key's session isn't valid",
}


@dataclass(frozen=True, slots=True)
class BucketKeys:
    """Who asks an S3 server. Without an access key, it is asked by nobody in particular: for public buckets."""

    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class ServerBucketKeys:
    """The keys of the server's environment, and the only endpoint that they are used for: empty for Amazon's."""

    keys: BucketKeys
    endpoint: str = ""


class Bucket:
    """Reads one bucket.

    Args:
        source: ``bucket``, ``prefix``, ``endpoint`` and ``region`` of an import.
    """

    def __init__(self, client: Client, source: Json, keys: BucketKeys) -> None:
        self._client, self._source = client, source
        self._s3 = _s3(source, keys)
        # Instead of botocore's own connections: the same rules hold for a bucket's server as for any other.
        self._s3.meta.events.register("before-send", self._send)

    def keys(self) -> Iterator[tuple[str, int]]:
        """Name and size in bytes of each object below the prefix.

        Raises:
            BucketRefused, DownloadFailed, SourceTooLarge, Stopped
        """
        count = 0
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._source["bucket"], Prefix=self._source["prefix"]
        )
        with _Sentences(self._source["bucket"]):
            for page in pages:
                for found in page.get("Contents", ()):
                    if found["Key"].endswith("/"):
                        continue  # what consoles make to show an empty folder
                    count += 1
                    if count > MOST:
                        raise SourceTooLarge(f"the bucket “{self._source['bucket']}”", MOST)
                    yield found["Key"], int(found["Size"])

    def read(self, key: str) -> bytes | Refused:
        """An object's bytes, or why it doesn't come. Raises Stopped."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            content: bytes = self._s3.get_object(Bucket=self._source["bucket"], Key=key)["Body"].read()
        except ClientError as error:
            code = _code(error)
            gone = (
                "it isn't in the bucket any more"
                if code == "NoSuchKey"
                else _REASONS.get(code, f"the server says {code}")
            )
            return Refused("bucket-object-refused", gone)
        except Unfetched as error:
            return Refused(error.code, str(error))
        except BotoCoreError as error:
            return Refused("bucket-object-refused", f"the server's answer can't be used ({type(error).__name__})")
        return content

    def _send(self, request: Any, **_: object) -> Any:  # Any: botocore has no types
        from botocore.awsrequest import AWSResponse

        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        with self._client.request(request.method, parse(request.url), _LIMITS, headers) as answer:
            content = b"" if request.method == "HEAD" else b"".join(answer.chunks)
        return AWSResponse(request.url, answer.status, dict(answer.headers), _Raw(content))


class _Raw(io.BytesIO):
    """A body as botocore reads it: whole, or piece by piece."""

    def stream(self, amt: int = 65_536, decode_content: object = None) -> Iterator[bytes]:
        while piece := self.read(amt):
            yield piece


class _Sentences:
    """Turns what botocore raises into sentences."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            code = _code(error)
            raise BucketRefused(self._bucket, _REASONS.get(code, f"the server says {code}"), code) from error
        if isinstance(error, Unfetched):
            raise DownloadFailed(f"The bucket “{self._bucket}”", error) from error
        if isinstance(error, BotoCoreError):
            name = type(error).__name__
            raise BucketRefused(self._bucket, f"the server's answer can't be used ({name})", name) from error


def _code(error: Any) -> str:  # Any: botocore has no types
    return str(error.response.get("Error", {}).get("Code", "nothing"))[:60]


def _s3(source: Mapping[str, Json], keys: BucketKeys) -> Any:  # Any: botocore has no types
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import Session

    # No files and profiles of the server's user, and never the metadata of the machine that it runs on.
    session = Session(session_vars={name: (None, None, value, None) for name, value in _NOTHING_ELSE.items()})
    config = Config(
        signature_version=None if keys.access_key else UNSIGNED,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if source["endpoint"] else "auto"},
        ignore_configured_endpoint_urls=True,
        proxies={},
    )
    return session.create_client(
        "s3",
        region_name=source["region"] or "us-east-1",
        endpoint_url=source["endpoint"] or None,
        aws_access_key_id=keys.access_key or "anonymous",
        aws_secret_access_key=keys.secret_key or "anonymous",
        aws_session_token=keys.session_token or None,
        config=config,
    )


_NOTHING_ELSE: Final = {"config_file": "/dev/null", "credentials_file": "/dev/null", "profile": None}


class BucketFiles:
    """The objects of a bucket, by the list that was made when the import began."""

    name_encoding = None

    def __init__(self, client: Client, storage: Storage, source: Json, keys: BucketKeys) -> None:
        self.entries = int(source["entries"])
        self._client, self._storage, self._digest = client, storage, Digest(source["digest"])
        self._bucket = Bucket(client, source, keys)

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The objects after the first ``skip``, under their whole names."""
        try:
            yield from in_order(self._bring, kept_list(self._storage, self._digest, skip), abort=self._client.close)
        except Stopped:
            return

    def _bring(self, numbered: tuple[int, Json]) -> IncomingFile:
        _, (key, size) = numbered
        content = _TOO_LARGE if size > MAX_FILE_BYTES else self._bucket.read(key)
        return IncomingFile(key, refused=content) if isinstance(content, Refused) else IncomingFile(key, content)
