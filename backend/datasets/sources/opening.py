"""From what an import was asked for to its files: what is elsewhere is listed or downloaded first, once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from backend.datasets.archives.reading import Archive, first_bytes, kind_of, open_archive
from backend.datasets.blobs import DOWNLOADS, uploaded_file
from backend.datasets.import_queue.lists import keep_list
from backend.datasets.samples import Sample, find_sample
from backend.datasets.sources.buckets import REQUESTS_A_SECOND as BUCKET_REQUESTS_A_SECOND
from backend.datasets.sources.buckets import Bucket, BucketFiles, BucketKeys, ServerBucketKeys
from backend.datasets.sources.downloads import Download, Wanted
from backend.datasets.sources.errors import KeysLost, SourceEmpty
from backend.datasets.sources.links import LinkFiles
from backend.datasets.sources.sample_files import DrawnFiles, PickedFiles
from backend.datasets.sources.sealing import Unsealable, unseal
from backend.datasets.sources.server_folders import FolderFiles, ServerFolders
from backend.domain.ids import Digest
from backend.domain.json import Json
from backend.outbound.client import REQUESTS_A_SECOND, Client
from backend.outbound.dialling import Resolve, resolve
from backend.outbound.errors import Stopped
from backend.outbound.networks import Network
from backend.settings import Settings
from backend.storage.base import Storage

Name = TypeVar("Name")
_LISTED: Final = frozenset({"folder", "bucket"})


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where imports may take pictures from besides what was uploaded.

    Attributes:
        networks: trusted ones besides the public internet.
        roots: folders of the server.
        bucket_keys: of the server's environment.
        resolve: how names of servers become addresses.
    """

    networks: tuple[Network, ...] = ()
    roots: tuple[Path, ...] = ()
    bucket_keys: ServerBucketKeys = ServerBucketKeys(BucketKeys())
    resolve: Resolve = resolve

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As whoever runs the server has set it."""
        secrets = (settings.aws_access_key_id, settings.aws_secret_access_key, settings.aws_session_token)
        keys = BucketKeys(*(secret.get_secret_value() if secret else "" for secret in secrets))
        return cls(
            settings.trusted_networks,
            settings.import_folders,
            ServerBucketKeys(keys, settings.bucket_endpoint),
        )


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens the source of one import.

    Attributes:
        should_stop: asked while something is downloaded or listed.
        note_bytes: called with (bytes that have come, bytes in all or 0) while something is downloaded.
        remember: called with the source as it is from now on.
        alive: called again and again while something is listed.
        wait: lets some seconds pass, between tries of a download.
    """

    storage: Storage
    elsewhere: Elsewhere
    import_id: str
    should_stop: Callable[[], bool]
    note_bytes: Callable[[int, int], None]
    remember: Callable[[Json], None]
    alive: Callable[[], None]
    wait: Callable[[float], None]

    def brought(self, source: Json) -> Json:
        """The source, after what is elsewhere was downloaded or listed; a second call does nothing.

        Raises:
            Stopped, AppError
        """
        if "digest" in source or "upload" in source:
            return source
        if (wanted := _wanted(source)) is not None:
            return self._downloaded(source, wanted)
        if source["kind"] in _LISTED:
            return self._listed(source)
        return source

    @contextmanager
    def files(self, source: Json) -> Iterator[Archive]:
        """The files of a source that ``brought`` has given."""
        match source["kind"]:
            case "links":
                with self._client() as client:
                    yield LinkFiles(client, self.storage, source)
            case "folder":
                yield FolderFiles(ServerFolders(self.elsewhere.roots), self.storage, source)
            case "bucket":
                with self._client(BUCKET_REQUESTS_A_SECOND) as client:
                    yield BucketFiles(client, self.storage, source, self._keys(source))
            case "sample" if "digest" not in source:
                yield DrawnFiles(find_sample(source["name"]))
            case "archive" if "upload" in source:
                with uploaded_file(self.storage, source["upload"]).open("rb") as file:
                    yield open_archive(file, source["archive"], source["bytes"])
            case _:
                with self.storage.open_blob(Digest(source["digest"])) as file:
                    archive = open_archive(file, source["archive"], source["bytes"])
                    is_sample = source["kind"] == "sample"
                    yield PickedFiles(find_sample(source["name"]), archive) if is_sample else archive

    def _client(self, requests_a_second: float = REQUESTS_A_SECOND) -> Client:
        return Client(
            self.elsewhere.networks,
            should_stop=self.should_stop,
            resolve=self.elsewhere.resolve,
            requests_a_second=requests_a_second,
        )

    def _slowly(self, names: Iterable[Name]) -> Iterator[Name]:
        """A list that may be long, with a sign of life on the way."""
        for name in names:
            if self.should_stop():
                raise Stopped
            self.alive()
            yield name

    def _downloaded(self, source: Json, wanted: Wanted) -> Json:
        self.remember(source := {**source, "partial": True})
        folder = self.storage.folder(DOWNLOADS, self.import_id)
        with self._client() as client:
            file = Download(client, self.storage, folder, wanted, note=self.note_bytes, wait=self.wait).run()
        with file.open("rb") as content:
            head, _ = first_bytes(iter(lambda: content.read(512), b""))
        kind = kind_of(head)
        digest, size = self.storage.adopt(file)
        self.remember(source := {**source, "archive": kind, "digest": digest, "bytes": size})
        return source

    def _listed(self, source: Json) -> Json:
        if source["kind"] == "folder":
            what = f"the folder “{source['path']}”"
            names = ServerFolders(self.elsewhere.roots).walk(source["path"])
            digest, entries = keep_list(self.storage, self._slowly(names))
        else:
            what = f"the bucket “{source['bucket']}”" + (f" below “{source['prefix']}”" if source["prefix"] else "")
            with self._client() as client:
                found = Bucket(client, source, self._keys(source)).keys()
                digest, entries = keep_list(self.storage, map(list, self._slowly(found)))
        if not entries:
            raise SourceEmpty(what)
        self.remember(source := {**source, "digest": digest, "entries": entries})
        return source

    def _keys(self, source: Json) -> BucketKeys:
        if "sealed" in source:
            try:
                return BucketKeys(**unseal(self.storage, source["sealed"]))
            except Unsealable as error:
                raise KeysLost from error
        server = self.elsewhere.bucket_keys
        # The server's own keys sign nothing for a server that somebody else has named.
        return server.keys if source["endpoint"] == server.endpoint else BucketKeys()


def _wanted(source: Json) -> Wanted | None:
    if source["kind"] == "download":
        return Wanted(source["url"], "The archive")
    if source["kind"] == "sample":
        sample: Sample = find_sample(source["name"])
        if (download := sample.download) is not None:
            return Wanted(download.url, sample.title, download.bytes, download.md5, is_sample=True)
    return None
