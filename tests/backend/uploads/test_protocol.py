"""The tus protocol as a client meets it: what it may send, what it is answered, and that nothing is lost or doubled."""

import base64
import hashlib
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from backend.datasets.blobs import uploaded_file
from backend.db.base import utc_now
from backend.dependencies import Services
from backend.tables.uploads import UploadRow
from backend.uploads.recovery import clear_uploads, recover_uploads
from tests.backend.uploads.conftest import BYTES, TUS, Sender, metadata
from tests.fixtures.archives import zipped
from tests.fixtures.pictures import draw, encode, folder_of_shapes

ARCHIVE = zipped(folder_of_shapes(2, 16))
PICTURE = encode(draw("circle", 1))
LARGEST = 50 * 2**30


def checksum_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def test_an_archive_in_three_parts_becomes_an_import_exactly_once(sender: Sender) -> None:
    address = sender.begin(len(ARCHIVE))
    third = len(ARCHIVE) // 3

    assert sender.send(address, 0, ARCHIVE[:third]).headers["upload-offset"] == str(third)
    assert sender.offset(address) == third
    sender.send(address, third, ARCHIVE[third : 2 * third])
    last = sender.send(address, 2 * third, ARCHIVE[2 * third :])

    assert last.status_code == 204
    done = sender.look(address)
    assert (done["status"], done["offset"]) == ("complete", len(ARCHIVE))
    assert sender.offset(address) == len(ARCHIVE)
    assert sender.send(address, len(ARCHIVE), b"").status_code == 204
    assert sender.ana.services.notifier.notifications == ["import"]  # type: ignore[attr-defined]  # the collecting one
    assert sender.ana.run(done["import_id"])["added"] == 6


def test_a_picture_is_added_and_its_result_can_be_asked_for(sender: Sender, services: Services) -> None:
    address = sender.begin(len(PICTURE), "cats/1.png")

    sender.send(address, 0, PICTURE)

    done = sender.look(address)
    assert (done["kind"], done["status"], done["result"]["added"]) == ("picture", "complete", 1)
    assert [image["path"] for image in sender.ana.images()] == ["cats/1.png"]
    assert not (services.settings.storage_folder / "uploads" / done["id"]).exists()


def test_the_first_bytes_may_come_with_the_announcement(sender: Sender, client: TestClient) -> None:
    given = metadata(dataset=sender.ana.dataset_id, path="1.png")
    headers = BYTES | {"Upload-Length": str(len(PICTURE)), "Upload-Metadata": given}

    answer = client.post("/api/v1/uploads", headers=headers, content=PICTURE)

    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(PICTURE)))
    assert answer.json()["result"]["added"] == 1


def test_what_is_supported_is_described(client: TestClient) -> None:
    described = client.options("/api/v1/uploads").headers

    assert described["tus-extension"] == "creation,creation-with-upload,expiration,checksum,termination"
    assert (described["tus-version"], described["tus-max-size"]) == ("1.0.0", str(LARGEST))
    assert described["tus-checksum-algorithm"] == "sha256,sha1"


def test_u03_only_what_was_recorded_counts_whatever_the_disk_holds(sender: Sender, services: Services) -> None:
    longer, shorter = sender.begin(len(ARCHIVE)), sender.begin(len(ARCHIVE), "other.zip")
    sender.send(longer, 0, ARCHIVE[:600])
    sender.send(shorter, 0, ARCHIVE[:600])
    part = uploaded_file(services.storage, longer.rpartition("/")[2])
    with part.open("ab") as file:
        file.write(bytes(1000))  # written, and not synced before the power failed
    with uploaded_file(services.storage, shorter.rpartition("/")[2]).open("r+b") as file:
        file.truncate(500)

    assert (sender.offset(longer), sender.offset(shorter)) == (600, 500)
    assert part.read_bytes() == ARCHIVE[:600]


def test_u04_bytes_at_a_wrong_offset_change_nothing(sender: Sender) -> None:
    address = sender.begin(len(ARCHIVE))
    sender.send(address, 0, ARCHIVE[:600])

    answer = sender.send(address, 300, ARCHIVE[300:900])

    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "600")
    assert answer.json()["error"]["details"] == {"offset": 600}
    assert sender.offset(address) == 600


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_u07_bytes_with_a_wrong_checksum_are_not_kept(sender: Sender, algorithm: str) -> None:
    address = sender.begin(len(ARCHIVE))

    wrong = sender.send(address, 0, b"X" + ARCHIVE[1:600], **{"Upload-Checksum": checksum_of(ARCHIVE[:600], algorithm)})
    assert (wrong.status_code, sender.offset(address)) == (460, 0)

    right = sender.send(address, 0, ARCHIVE[:600], **{"Upload-Checksum": checksum_of(ARCHIVE[:600], algorithm)})
    assert (right.status_code, sender.offset(address)) == (204, 600)


def test_u08_what_is_too_large_is_refused_before_a_byte_is_sent(sender: Sender) -> None:
    archive, picture = sender.announce(LARGEST + 1), sender.announce(100 * 2**20 + 1, "large.tif")

    assert (archive.status_code, archive.json()["error"]["details"]["limit_bytes"]) == (413, LARGEST)
    assert picture.status_code == 413
    assert "large.tif" in picture.json()["error"]["message"]


def test_u09_what_others_have_announced_is_reserved(
    sender: Sender, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.storage, "free_bytes", lambda: 1_000_000_000)
    monkeypatch.setattr(services.storage, "disk_bytes", lambda: 4_000_000_000)
    addresses = [sender.begin(180_000_000, f"{number}.zip") for number in range(4)]

    refused = sender.announce(180_000_000, "5.zip")

    assert refused.status_code == 507
    assert refused.json()["error"]["details"] == {
        "needed_bytes": 180_000_000,
        "free_bytes": 80_000_000,
        "reserved_bytes": 720_000_000,
    }
    assert refused.json()["error"]["message"].startswith("No room: 180 MB needed, 80.0 MB free")
    assert sender.client.delete(addresses[0], headers=TUS).status_code == 204
    assert sender.announce(180_000_000, "5.zip").status_code == 201


def test_u10_what_was_left_alone_for_a_week_is_gone_and_its_room_is_free(sender: Sender, services: Services) -> None:
    address = sender.begin(len(ARCHIVE))
    sender.send(address, 0, ARCHIVE[:600])
    upload_id = address.rpartition("/")[2]
    with services.database.write() as session:
        row = session.get(UploadRow, upload_id)
        assert row is not None
        assert timedelta(days=6.9) < row.expires_at - utc_now() <= timedelta(days=7)
        row.expires_at = utc_now() - timedelta(seconds=1)

    before = sender.client.head(address, headers=TUS).status_code
    cleared = clear_uploads(services.open_unit(), services.storage, [])

    assert (before, cleared) == (410, 1)
    assert not (services.settings.storage_folder / "uploads" / upload_id).exists()
    assert sender.send(address, 600, ARCHIVE[600:]).status_code == 410


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "0"}, 400),
        ({"Upload-Length": "1.5"}, 400),
        ({"Upload-Length": str(2**63)}, 413),
        ({"Upload-Length": "9" * 40}, 400),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Metadata": ""}, 400),
        ({"Upload-Metadata": "path not-base64!"}, 400),
        ({"Upload-Metadata": metadata(dataset="x", path="a", kind="film")}, 400),
        ({"Upload-Metadata": metadata(path="a.zip")}, 400),
        ({"Upload-Metadata": metadata(dataset="x", path="a" * 30_000)}, 400),
        ({"Upload-Metadata": metadata(dataset="nobodys", path="a.zip")}, 404),
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Tus-Resumable": ""}, 412),
    ],
)
def test_u11_an_announcement_that_makes_no_sense_is_refused(
    sender: Sender, client: TestClient, headers: dict[str, str], status: int
) -> None:
    good = TUS | {"Upload-Length": "10", "Upload-Metadata": metadata(dataset=sender.ana.dataset_id, path="a.zip")}

    answer = client.post("/api/v1/uploads", headers=good | headers)

    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert set(answer.json()["error"]) == {"code", "message", "advice", "details"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": "here"}, 400),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": str(2**63)}, 409),
        ({"Content-Type": "text/plain"}, 415),
        ({"Upload-Checksum": "md5 AAAA"}, 400),
        ({"Upload-Checksum": "sha256 AAAA"}, 400),
    ],
)
def test_u11_bytes_that_are_announced_wrongly_change_nothing(
    sender: Sender, headers: dict[str, str], status: int
) -> None:
    address = sender.begin(len(ARCHIVE))

    assert sender.send(address, 0, ARCHIVE[:600], **headers).status_code == status
    assert sender.offset(address) == 0


def test_u11_a_name_that_leads_elsewhere_is_only_a_name(sender: Sender) -> None:
    address = sender.begin(len(PICTURE), "../../etc/x.png")

    sender.send(address, 0, PICTURE)

    assert [image["path"] for image in sender.ana.images()] == ["etc/x.png"]


def test_more_bytes_than_announced_are_refused(sender: Sender) -> None:
    address = sender.begin(700)

    assert sender.send(address, 0, ARCHIVE[:701]).status_code == 413
    assert sender.offset(address) == 0


def test_u12_anothers_upload_is_not_found(sender: Sender, client: TestClient) -> None:
    address = sender.begin(len(ARCHIVE), fingerprint="pets")
    secret = client.post("/api/v1/tokens", json={"name": "Ben's program", "scope": "write"}).json()["token"]
    ben = {"Authorization": f"Bearer {secret}"}
    query = f"/api/v1/uploads?dataset={sender.ana.dataset_id}"

    assert client.head(address, headers=TUS | ben).status_code == 404
    assert client.patch(address, headers=BYTES | ben | {"Upload-Offset": "0"}, content=b"x").status_code == 404
    assert client.delete(address, headers=TUS | ben).status_code == 404
    assert client.get(address, headers=ben).status_code == 404
    assert client.get(query, headers=ben).json()["items"] == []
    assert [found["offset"] for found in client.get(query).json()["items"]] == [0]


def test_u16_an_upload_is_found_again_by_its_fingerprint(sender: Sender, client: TestClient) -> None:
    address = sender.begin(len(ARCHIVE), fingerprint="pets.zip-815-1700000000000")
    sender.send(address, 0, ARCHIVE[:600])

    found = client.get(
        "/api/v1/uploads", params={"dataset": sender.ana.dataset_id, "fingerprint": "pets.zip-815-1700000000000"}
    ).json()["items"]

    assert [(upload["id"], upload["offset"]) for upload in found] == [(address.rpartition("/")[2], 600)]


def test_an_announcement_whose_answer_was_lost_reserves_its_room_once(sender: Sender) -> None:
    first = sender.begin(len(ARCHIVE), fingerprint="pets")

    assert sender.begin(len(ARCHIVE), fingerprint="pets") == first
    sender.send(first, 0, ARCHIVE[:600])
    assert sender.begin(len(ARCHIVE), fingerprint="pets") != first


def test_what_is_no_archive_is_refused_at_its_first_bytes_and_forgotten(sender: Sender) -> None:
    address = sender.begin(10_000_000)

    answer = sender.send(address, 0, b"MZ" * 1000)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "archive-type-unknown")
    assert sender.client.head(address, headers=TUS).status_code == 404


def test_u02_an_upload_that_was_cut_off_after_its_last_byte_becomes_an_import_without_its_client(
    sender: Sender, services: Services
) -> None:
    address = sender.begin(len(ARCHIVE))
    upload_id = address.rpartition("/")[2]
    uploaded_file(services.storage, upload_id).write_bytes(ARCHIVE)
    with services.database.write() as session:
        row = session.get(UploadRow, upload_id)
        assert row is not None
        row.received = len(ARCHIVE)
    from backend.imaging.pool import decoding_pool

    recovered = [recover_uploads(services.open_unit(), services.storage, decoding_pool()) for _ in range(2)]

    assert recovered == [[upload_id], []]
    assert sender.ana.run(sender.look(address)["import_id"])["added"] == 6


def test_an_archive_is_deleted_after_its_import(sender: Sender, services: Services) -> None:
    from backend.datasets.blobs import forget_archives

    address = sender.begin(len(ARCHIVE))
    sender.send(address, 0, ARCHIVE)
    upload_id, import_id = address.rpartition("/")[2], sender.look(address)["import_id"]
    assert clear_uploads(services.open_unit(), services.storage, [upload_id]) == 0
    assert sender.client.post(f"/api/v1/imports/{import_id}/cancel").status_code == 202

    assert forget_archives(services.open_unit(), services.storage) == 0
    assert not (services.settings.storage_folder / "uploads" / upload_id).exists()
    assert sender.look(address)["status"] == "complete"
