import socket
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.session import Session
from moto.server import ThreadedMotoServer

from backend.datasets.blobs import forget_archives
from backend.datasets.sources.buckets import BucketKeys, ServerBucketKeys
from backend.datasets.sources.opening import Elsewhere
from backend.tables.datasets import ImportRow
from backend.tables.ledger import JobRow
from tests.backend.datasets.sources.conftest import LOOPBACK, Importer
from tests.fixtures.pictures import draw, encode
from tests.fixtures.web_server import WebServer, body, listening

KEYS = {"access_key": "key-of-ana", "secret_key": "a-secret-of-ana"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server with a bucket of six pictures, a text, and a folder's mark."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client: Any = Session().create_client(
        "s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="y"
    )
    client.create_bucket(Bucket="scans")
    for number in range(6):
        shape = ("circle", "square")[number % 2]
        client.put_object(Bucket="scans", Key=f"2026/{shape} s/{number}+ü.png", Body=encode(draw(shape, number)))
    client.put_object(Bucket="scans", Key="2026/notes.md", Body=b"hello")
    client.put_object(Bucket="scans", Key="2026/empty/", Body=b"")
    client.put_object(Bucket="scans", Key="2025/old.png", Body=encode(draw("cross", 1)))
    yield url
    server.stop()


def test_the_pictures_below_a_prefix_are_imported(importer: Importer, s3: str) -> None:
    asked = importer.ask(s3={"bucket": "scans", "prefix": "2026/", "endpoint": s3, **KEYS})
    done = importer.run(asked["id"])

    assert (done["added"], done["entries_total"], [left["path"] for left in done["rejected"]]) == (
        6,
        7,
        ["2026/notes.md"],
    )
    assert importer.paths()[0] == "2026/circle s/0+ü.png"


def test_a_key_is_nowhere_in_clear_and_gone_after_the_end(importer: Importer, s3: str) -> None:
    services = importer.ana.services
    importer.ask(s3={"bucket": "scans", "endpoint": s3, **KEYS})

    def stored() -> str:
        with services.database.read() as session:
            return " ".join(str(row.source) for row in session.query(ImportRow))

    waiting = stored()
    files = b"".join(file.read_bytes() for file in services.settings.data.rglob("*") if file.is_file())
    with services.database.write() as session:
        session.query(JobRow).update({"state": "cancelled"})
    forget_archives(services.open_unit(), services.storage)

    assert "sealed" in waiting
    assert "a-secret-of-ana" not in waiting
    assert b"a-secret-of-ana" not in files
    assert "sealed" not in stored()


def test_s08_a_bucket_is_reached_by_the_same_rules_as_any_other_server(importer: Importer) -> None:
    with listening() as (port, connections):
        import_id = importer.ask(s3={"bucket": "scans", "endpoint": f"http://127.0.0.1:{port}", **KEYS})["id"]
        error = importer.failure(import_id, Elsewhere())

        assert connections() == 0
    assert error is not None
    assert error.message == (
        "The bucket “scans” couldn't be downloaded: no server called “127.0.0.1” can be reached on the public internet."
    )


def test_neither_files_of_the_user_nor_the_machine_s_metadata_are_asked_for_keys(
    importer: Importer, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHESERVER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_PROFILE", "production")
    asked: list[tuple[str, int]] = []
    create = socket.create_connection

    def noted(address: tuple[str, int], *more: Any, **named: Any) -> socket.socket:
        asked.append(address)
        return create(address, *more, **named)

    monkeypatch.setattr(socket, "create_connection", noted)
    server.answers["/scans"] = body(b"<Error><Code>AccessDenied</Code></Error>", "application/xml", 403)

    error = importer.failure(importer.ask(s3={"bucket": "scans", "endpoint": server.url})["id"])

    assert error is not None
    assert error.message == "The bucket “scans” can't be read: the key may not list or read it."
    assert set(asked) == {("127.0.0.1", server.server_port)}
    assert not any("Authorization" in headers for _, headers in server.asked)


def test_the_server_s_own_key_signs_only_for_its_own_endpoint(importer: Importer, server: WebServer) -> None:
    own = ServerBucketKeys(BucketKeys("key-of-server", "secret"), "https://s3.hospital.example")
    server.answers["/scans"] = body(b"<Error><Code>AccessDenied</Code></Error>", "application/xml", 403)

    importer.failure(
        importer.ask(s3={"bucket": "scans", "endpoint": server.url})["id"],
        Elsewhere(networks=LOOPBACK.networks, bucket_keys=own),
    )
    importer.failure(
        importer.ask(s3={"bucket": "scans", "endpoint": server.url})["id"],
        Elsewhere(networks=LOOPBACK.networks, bucket_keys=ServerBucketKeys(own.keys, server.url)),
    )

    first, second = (headers.get("Authorization", "") for _, headers in server.asked)
    assert first == ""
    assert "Credential=key-of-server/" in second


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bucket": "UPPER"}, "bucket-unusable"),
        ({"bucket": "a/../b"}, "bucket-unusable"),
        ({"region": "x y"}, "bucket-unusable"),
        ({"access_key": "only-a-key"}, "bucket-unusable"),
        ({"endpoint": "https://user:secret@example.org"}, "link-unusable"),
        ({"endpoint": "https://example.org/path"}, "bucket-unusable"),
    ],
)
def test_what_cannot_be_a_bucket_is_refused_at_once(importer: Importer, changes: dict[str, str], code: str) -> None:
    assert importer.refusal(s3={"bucket": "scans", **changes}) == (422, code)


def test_a_bucket_that_does_not_exist_is_said_so(importer: Importer, s3: str) -> None:
    error = importer.failure(importer.ask(s3={"bucket": "nosuch", "endpoint": s3, **KEYS})["id"])

    assert error is not None
    assert error.message == "The bucket “nosuch” can't be read: there is none of that name."
