import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator

import pytest

from backend.datasets import ingest
from backend.datasets.blobs import forget_archives
from backend.datasets.errors import UploadLost
from backend.datasets.imports import ImportStopped, run_import
from backend.db.session import WriteSession
from backend.dependencies import Services
from backend.domain.ids import Digest
from backend.tables.ledger import JobRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.archives import tarred, zipped
from tests.fixtures.pictures import draw, encode, folder_of_shapes, not_a_number

PICTURE = encode(draw("circle", 1))
OTHER = encode(draw("square", 1))


@pytest.mark.parametrize(
    "archive",
    [
        zipped(folder_of_shapes(4, 16)),
        tarred(folder_of_shapes(4, 16)),
        tarred(folder_of_shapes(4, 16), "w"),
    ],
    ids=["zip", "tgz", "tar"],
)
def test_it_brings_the_pictures_of_an_archive(ana: Ana, archive: bytes) -> None:
    asked = ana.send_archive(archive)
    assert (asked["status"], asked["added"]) == ("queued", 0)

    done = ana.run(asked["id"])

    assert (done["added"], done["already_there"], done["rejected"]) == (12, 0, [])
    assert ana.dataset()["images"] == 12
    assert ana.services.notifier.notifications == ["import", "examine"]  # type: ignore[attr-defined]  # the collecting one


def test_it_lists_what_it_does_not_take_and_why(ana: Ana) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("good/1.png", "../up.png", "/abs.png", "C:/x.png", "a/" * 40 + "deep.png", "inner.zip"):
            archive.writestr(name, PICTURE)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("__MACOSX/._1.png", b"x")
        archive.writestr("notes.md", b"x")
        archive.writestr("labels.csv", b"name,label\n1.png,cat\n")

    done = ana.run(ana.send_archive(file.getvalue())["id"])

    assert (done["added"], done["ignored"]) == (1, 1)
    assert {left["path"].split("/")[-1]: left["code"] for left in done["rejected"]} == {
        "up.png": "archive-entry-unsafe-name",
        "abs.png": "archive-entry-unsafe-name",
        "x.png": "archive-entry-unsafe-name",
        "deep.png": "archive-entry-too-deep",
        "inner.zip": "archive-nested",
        "link.png": "archive-entry-not-a-file",
        "notes.md": "image-format-unknown",
    }


def test_g09_a_picture_of_values_that_are_no_numbers_is_named_and_left_out(ana: Ana) -> None:
    archive = zipped({"circle/good.png": PICTURE, "circle/scan.tif": not_a_number()})

    done = ana.run(ana.send_archive(archive)["id"])

    assert done["added"] == 1
    assert [(left["path"], left["code"], left["message"]) for left in done["rejected"]] == [
        (
            "circle/scan.tif",
            "image-broken",
            "It has values that aren't numbers, so nothing says how bright they are. Save it once more without them.",
        )
    ]


def test_it_takes_no_links_and_devices_of_a_tar(ana: Ana) -> None:
    def special(name: str, kind: bytes) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        return info

    extra = (special("s.png", tarfile.SYMTYPE), special("h.png", tarfile.LNKTYPE), special("f.png", tarfile.FIFOTYPE))

    done = ana.run(ana.send_archive(tarred({"1.png": PICTURE}, extra=extra))["id"])

    assert done["added"] == 1
    assert [left["code"] for left in done["rejected"]] == ["archive-entry-not-a-file"] * 3


def test_names_that_differ_little_all_come_in(ana: Ana) -> None:
    names = ["caf\u00e9.png", "cafe\u0301.png", "A.png", "a.png", "\U0001f431.png", "a\nb.png"]
    files = {name: encode(draw("circle", number)) for number, name in enumerate(names)}

    done = ana.run(ana.send_archive(tarred(files, "w"))["id"])

    assert done["added"] == 6


class _Died(Exception):
    pass


def test_it_continues_where_it_broke_off_and_counts_right(ana: Ana) -> None:
    asked = ana.send_archive(zipped(folder_of_shapes(30, 16) | {"bad.png": b"x", ".hidden": b"x"}))
    transactions: Iterator[int] = iter(range(100))

    def dying(_session: WriteSession) -> None:
        if next(transactions) == 3:
            raise _Died

    with pytest.raises(_Died):
        run_import(ana.services.open_unit(), ana.services.storage, asked["id"], fence=dying)
    between = ana.import_(asked["id"])
    done = ana.run(asked["id"])

    assert 0 < between["added"] < 90
    assert (done["entries"], done["added"], done["already_there"], done["ignored"]) == (92, 90, 0, 1)
    assert [left["path"] for left in done["rejected"]] == ["bad.png"]
    assert ana.dataset()["images"] == 90


def test_what_comes_slowly_is_recorded_as_it_comes(ana: Ana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH_S", -1.0)  # each file takes too long to wait for the next one
    asked = ana.send_archive(zipped(folder_of_shapes(3, 16)))
    transactions: Iterator[int] = iter(range(100))

    def dying(_session: WriteSession) -> None:
        if next(transactions) == 4:
            raise _Died

    with pytest.raises(_Died):
        run_import(ana.services.open_unit(), ana.services.storage, asked["id"], fence=dying)

    assert ana.import_(asked["id"])["added"] == 2


def test_it_stops_when_it_is_asked_to(ana: Ana) -> None:
    asked = ana.send_archive(zipped(folder_of_shapes(30, 16)))
    asks: Iterator[int] = iter(range(1000))

    with pytest.raises(ImportStopped):
        run_import(
            ana.services.open_unit(),
            ana.services.storage,
            asked["id"],
            fence=lambda _session: None,
            should_stop=lambda: next(asks) >= 40,
        )

    assert ana.import_(asked["id"])["added"] == 40


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n", b"BZh91AY", b"7z\xbc\xaf\x27\x1c" + b"\0" * 600])
def test_it_refuses_at_once_what_is_no_archive(ana: Ana, content: bytes) -> None:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/archive", content=content)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == ("archive-type-unknown" if content else "upload-empty")


# Samples


def test_it_brings_the_digits(ana: Ana) -> None:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/from-urls", json={"sample": "digits"})
    assert answer.status_code == 202

    asks: Iterator[int] = iter(range(10_000))
    with pytest.raises(ImportStopped):
        run_import(
            ana.services.open_unit(),
            ana.services.storage,
            answer.json()["id"],
            fence=lambda _session: None,
            should_stop=lambda: next(asks) >= 100,
        )

    assert ana.import_(answer.json()["id"])["progress"] == pytest.approx(100 / 1797)
    preview = ana.preview({"kind": "pattern", "pattern": r"/(\d)_\d+\.png$"})
    assert [found["name"] for found in preview["classes"]] == list("0123456789")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sample": "nosuch"}, 404, "sample-not-found"),
        ({}, 422, "source-unclear"),
        ({"sample": "digits", "urls": ["https://example.org/1.jpg"]}, 422, "source-unclear"),
    ],
)
def test_it_refuses_other_sources(ana: Ana, body: dict[str, object], status: int, code: str) -> None:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/from-urls", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_it_knows_no_import_of_another_id(ana: Ana) -> None:
    assert ana.client.get("/api/v1/imports/nosuch").status_code == 404


def test_a_dataset_stays_while_pictures_come_in_and_the_way_out_is_told(ana: Ana) -> None:
    asked = ana.send_archive(zipped({"1.png": PICTURE}))

    answer = ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}")

    assert answer.status_code == 409
    assert answer.json()["error"] == {
        "code": "dataset-in-use",
        "message": "Pictures are still being added to this dataset.",
        "advice": "Cancel the import first, then delete the dataset.",
        "details": {"users": [], "imports": [asked["id"]]},
    }


# Cancelled


def test_an_import_that_waits_is_cancelled_at_once_and_its_archive_goes(ana: Ana, services: Services) -> None:
    asked = ana.send_archive(zipped({"1.png": PICTURE}))

    answers = [ana.client.post(f"/api/v1/imports/{asked['id']}/cancel") for _ in range(2)]

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "cancelled")] * 2
    assert blobs(services) == []
    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 204


def test_an_import_that_has_ended_cannot_be_cancelled(ana: Ana, services: Services) -> None:
    asked = ana.send_archive(zipped({"1.png": PICTURE}))
    with services.database.write() as session:
        session.query(JobRow).update({"state": "succeeded"})

    answer = ana.client.post(f"/api/v1/imports/{asked['id']}/cancel")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "import-ended")
    assert ana.client.post("/api/v1/imports/nosuch/cancel").status_code == 404


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_the_archive_continuesce_its_import_has_ended(ana: Ana, services: Services, state: str) -> None:
    asked = ana.send_archive(zipped({"1.png": PICTURE}))
    ana.run(asked["id"])
    before = forget_archives(services.open_unit(), services.storage)
    with services.database.write() as session:
        session.query(JobRow).update({"state": state})

    after = [forget_archives(services.open_unit(), services.storage) for _ in range(2)]

    assert (before, after) == (0, [1, 0])
    assert blobs(services) == [hashlib.sha256(PICTURE).hexdigest()]


def test_an_archive_that_another_import_needs_stays(ana: Ana, services: Services) -> None:
    archive = zipped({"1.png": PICTURE})
    first, second = ana.send_archive(archive), ana.send_archive(archive)

    ana.client.post(f"/api/v1/imports/{first['id']}/cancel")

    assert ana.run(second["id"])["added"] == 1


def test_an_import_whose_archive_got_lost_after_a_crash_is_no_success(ana: Ana, services: Services) -> None:
    asked = ana.send_archive(zipped(folder_of_shapes(30, 16)))
    asks: Iterator[int] = iter(range(1000))
    with pytest.raises(ImportStopped):
        run_import(
            services.open_unit(),
            services.storage,
            asked["id"],
            fence=lambda _session: None,
            should_stop=lambda: next(asks) >= 40,
        )
    for name in blobs(services):
        services.storage.delete_blob(Digest(name))

    with pytest.raises(UploadLost):
        ana.run(asked["id"])


def blobs(services: Services) -> list[str]:
    """Digests of all that is stored."""
    return [file.name for file in (services.settings.storage_folder / "blobs").rglob("*") if file.is_file()]
