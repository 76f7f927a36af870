import io
import tarfile
import zipfile
from collections.abc import Iterator

import pytest

from backend.datasets import archives
from backend.datasets.archives import ArchiveBroken, ArchiveEncrypted, ArchiveTooLarge
from backend.datasets.imports import ImportStopped, run_import
from backend.db.session import WriteSession
from backend.dependencies import Services
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode, folder_of_shapes, not_a_number

PICTURE = encode(draw("circle", 1))
OTHER = encode(draw("square", 1))


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w:gz", extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is a variable
        for info in extra:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


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
    assert ana.services.doorbell.notifications == ["import"]  # type: ignore[attr-defined]  # the collecting one


def test_the_archive_itself_is_not_kept(ana: Ana, services: Services) -> None:
    asked = ana.send_archive(zipped({"1.png": PICTURE}))
    ana.run(asked["id"])

    blobs = [file for file in (services.settings.storage_folder / "blobs").rglob("*") if file.is_file()]

    assert len(blobs) == 1


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
        ("circle/scan.tif", "image-broken", "Broken: it has values that aren't numbers.")
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


def test_it_keeps_the_good_part_of_a_tar_that_is_cut(ana: Ana) -> None:
    whole = tarred(folder_of_shapes(10, 64), "w")
    asked = ana.send_archive(whole[: len(whole) // 2])

    with pytest.raises(ArchiveBroken):
        ana.run(asked["id"])

    found = ana.import_(asked["id"])
    assert 5 <= found["added"] < 30
    assert ana.dataset()["images"] == found["added"]


def test_it_says_that_a_zip_is_cut(ana: Ana) -> None:
    whole = zipped({"1.png": PICTURE})

    with pytest.raises(ArchiveBroken):
        ana.run(ana.send_archive(whole[:-30])["id"])


def test_a_broken_entry_is_listed(ana: Ana) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1.png", PICTURE)
        archive.writestr("2.png", OTHER)
    content = bytearray(file.getvalue())
    content[100] ^= 0xFF

    done = ana.run(ana.send_archive(bytes(content))["id"])

    assert (done["added"], [left["code"] for left in done["rejected"]]) == (1, ["archive-entry-broken"])


def test_it_says_that_a_zip_has_a_password(ana: Ana) -> None:
    content = bytearray(zipped({"1.png": PICTURE}))
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(ArchiveEncrypted):
        ana.run(ana.send_archive(bytes(content))["id"])


def test_a_bomb_stops_by_the_bytes_that_really_come_out(ana: Ana) -> None:
    zeros = bytes(30 << 20)

    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(zipped({"0.png": PICTURE, "1.bmp": zeros, "2.bmp": zeros}))["id"])


def test_too_many_entries_are_refused_before_they_are_read(ana: Ana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)

    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(zipped({f"{number}.png": b"" for number in range(5)}))["id"])


def test_a_name_without_the_utf8_flag_is_read_as_utf8(ana: Ana) -> None:
    content = zipped({"caf\u00e9/1.png": PICTURE})
    for start in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
        content = content[: start + 1] + bytes([content[start + 1] & ~0x08]) + content[start + 2 :]

    ana.run(ana.send_archive(content)["id"])

    assert ana.images()[0]["path"] == "caf\u00e9/1.png"


def test_names_that_differ_little_all_come_in(ana: Ana) -> None:
    names = ["caf\u00e9.png", "cafe\u0301.png", "A.png", "a.png", "\U0001f431.png", "a\nb.png"]
    files = {name: encode(draw("circle", number)) for number, name in enumerate(names)}

    done = ana.run(ana.send_archive(tarred(files, "w"))["id"])

    assert done["added"] == 6


class _Died(Exception):
    pass


def test_it_goes_on_where_it_broke_off_and_counts_right(ana: Ana) -> None:
    asked = ana.send_archive(zipped(folder_of_shapes(30, 16) | {"bad.png": b"x", ".hidden": b"x"}))
    transactions: Iterator[int] = iter(range(100))

    def dying(_session: WriteSession) -> None:
        if next(transactions) == 4:
            raise _Died

    with pytest.raises(_Died):
        run_import(ana.services.open_unit(), ana.services.storage, asked["id"], fence=dying)
    between = ana.import_(asked["id"])
    done = ana.run(asked["id"])

    assert 0 < between["added"] < 90
    assert (done["entries"], done["added"], done["already_there"], done["ignored"]) == (92, 90, 0, 1)
    assert [left["path"] for left in done["rejected"]] == ["bad.png"]
    assert ana.dataset()["images"] == 90


def test_it_stops_when_it_is_told_to(ana: Ana) -> None:
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
        ({"urls": ["https://example.org/1.jpg"], "label": "x"}, 422, "import-from-links-unavailable"),
        ({"archive_url": "https://example.org/1.zip"}, 422, "import-from-links-unavailable"),
        ({}, 422, "invalid-input"),
    ],
)
def test_it_refuses_other_sources(ana: Ana, body: dict[str, object], status: int, code: str) -> None:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/from-urls", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_it_knows_no_import_of_another_id(ana: Ana) -> None:
    assert ana.client.get("/api/v1/imports/nosuch").status_code == 404


def test_a_dataset_stays_while_pictures_come_in(ana: Ana) -> None:
    ana.send_archive(zipped({"1.png": PICTURE}))

    assert ana.client.delete(f"/api/v1/datasets/{ana.dataset_id}").status_code == 409
