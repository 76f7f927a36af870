"""Archives that are cut, damaged, locked, empty or hostile: what is whole comes in, and what is said of it is true."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib

import pytest

from backend.datasets.archives import budget, zips
from backend.datasets.archives.errors import ArchiveBroken, ArchiveEncrypted, ArchiveTooLarge, NothingUsable
from tests.backend.datasets.conftest import Ana
from tests.fixtures.archives import encrypted, tarred, with_method, without_utf8_mark, zipped
from tests.fixtures.pictures import draw, encode, folder_of_shapes

PICTURE = encode(draw("circle", 1))
OTHER = encode(draw("square", 1))


def stored(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


# Cut


@pytest.mark.parametrize("pack", [stored, zipped], ids=["stored", "deflated"])
def test_a_cut_zip_gives_the_pictures_that_are_whole_and_tells_how_many(ana: Ana, pack: object) -> None:
    files = {f"{number}.png": encode(draw("circle", number)) for number in range(10)}
    assert callable(pack)
    whole = pack(files)
    asked = ana.send_archive(whole[: whole.rfind(b"PK\x03\x04") + 60])

    with pytest.raises(ArchiveBroken) as failure:
        ana.run(asked["id"])

    assert "9 pictures were read before that and kept; the rest never arrived." in failure.value.message
    assert failure.value.details == {"kept": 9}
    assert ana.dataset()["images"] == 9


def test_a_cut_zip_without_one_whole_picture_does_not_say_that_any_was_kept(ana: Ana) -> None:
    asked = ana.send_archive(stored({"1.png": PICTURE})[:60])

    with pytest.raises(ArchiveBroken) as failure:
        ana.run(asked["id"])

    assert failure.value.message.endswith("it ends too early. No picture could be read from it.")


def test_a_zip_that_lacks_only_its_list_of_files_gives_all_pictures(ana: Ana) -> None:
    whole = zipped({"1.png": PICTURE, "2.png": OTHER})

    with pytest.raises(ArchiveBroken):
        ana.run(ana.send_archive(whole[: whole.find(b"PK\x01\x02") + 50])["id"])

    assert ana.dataset()["images"] == 2


def test_a_cut_zip_continues_where_it_broke_off(ana: Ana) -> None:
    asked = ana.send_archive(stored({f"{n}.png": encode(draw("circle", n)) for n in range(40)})[:-30])

    for _ in range(2):
        with pytest.raises(ArchiveBroken):
            ana.run(asked["id"])

    found = ana.import_(asked["id"])
    assert (found["entries"], found["added"], found["already_there"]) == (40, 40, 0)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_it_keeps_the_good_part_of_a_tar_that_is_cut(ana: Ana, mode: str) -> None:
    whole = tarred(folder_of_shapes(10, 64), mode)
    asked = ana.send_archive(whole[: len(whole) // 2])

    with pytest.raises(ArchiveBroken) as failure:
        ana.run(asked["id"])

    found = ana.import_(asked["id"])
    assert 5 <= found["added"] < 30
    assert ana.dataset()["images"] == found["added"]
    assert failure.value.details == {"kept": found["added"]}


# Damaged or packed in other ways


def test_a_broken_entry_is_listed(ana: Ana) -> None:
    content = bytearray(stored({"1.png": PICTURE, "2.png": OTHER}))
    content[100] ^= 0xFF

    done = ana.run(ana.send_archive(bytes(content))["id"])

    assert (done["added"], [left["code"] for left in done["rejected"]]) == (1, ["archive-entry-broken"])


def test_deflate64_is_unpacked(ana: Ana) -> None:
    # Without matches, Deflate and Deflate64 are the same bits.
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    packed = packer.compress(PICTURE) + packer.flush()
    content = bytearray(stored({"1.png": packed}))
    for signature, crc_at in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = content.find(signature)
        struct.pack_into("<LLL", content, at + crc_at, zlib.crc32(PICTURE), len(packed), len(PICTURE))

    done = ana.run(ana.send_archive(with_method(bytes(content), 9))["id"])

    assert (done["added"], done["rejected"]) == (1, [])


def test_a_zip_of_which_no_entry_can_be_unpacked_is_no_success(ana: Ana) -> None:
    archive = with_method(zipped({"1.png": PICTURE, "2.png": OTHER}), 98)

    with pytest.raises(NothingUsable) as failure:
        ana.run(ana.send_archive(archive)["id"])

    assert failure.value.message.startswith(
        "None of the 2 files in this archive can be used. The most common reason: Packed by a method"
    )


@pytest.mark.parametrize("archive", [zipped({}), tarred({}), zipped({"folder/": b""})], ids=["zip", "tgz", "folder"])
def test_an_empty_archive_is_no_success(ana: Ana, archive: bytes) -> None:
    with pytest.raises(NothingUsable) as failure:
        ana.run(ana.send_archive(archive)["id"])

    assert failure.value.message == "This archive is empty."


def test_an_archive_of_system_files_is_no_success(ana: Ana) -> None:
    with pytest.raises(NothingUsable) as failure:
        ana.run(ana.send_archive(zipped({"__MACOSX/._1.png": b"x", "Thumbs.db": b"x"}))["id"])

    assert (
        failure.value.message
        == "There is no picture in this archive, only hidden files and files of the operating system."
    )


def test_an_archive_with_a_table_alone_is_a_success(ana: Ana) -> None:
    done = ana.run(ana.send_archive(zipped({"labels.csv": b"name,label\n1.png,cat\n"}))["id"])

    assert (done["added"], done["tables"]) == (0, 1)


# Passwords


def test_it_shows_that_a_zip_has_a_password(ana: Ana) -> None:
    with pytest.raises(ArchiveEncrypted):
        ana.run(ana.send_archive(encrypted(zipped({"1.png": PICTURE})))["id"])


def test_it_shows_that_a_cut_zip_has_a_password(ana: Ana) -> None:
    with pytest.raises(ArchiveEncrypted):
        ana.run(ana.send_archive(encrypted(stored({"1.png": PICTURE, "2.png": OTHER}))[:-60])["id"])


# Bombs


def test_a_bomb_stops_by_the_bytes_that_really_come_out(ana: Ana) -> None:
    zeros = bytes(30 << 20)

    with pytest.raises(ArchiveTooLarge) as failure:
        ana.run(ana.send_archive(zipped({"0.png": PICTURE, "1.bmp": zeros, "2.bmp": zeros}))["id"])

    assert failure.value.message == (
        "This archive holds more than 200 times its own size. 1 picture was read before that and kept; "
        "the rest never arrived."
    )


def test_a_cut_bomb_stops_too(ana: Ana) -> None:
    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(zipped({"0.png": PICTURE, "1.bmp": bytes(60 << 20)})[:-50])["id"])


@pytest.mark.parametrize("name", [".DS_Store", "a/Thumbs.db", "../out.png", "inner.zip"])
def test_what_is_passed_over_in_a_tar_counts(ana: Ana, name: str) -> None:
    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(tarred({"1.png": PICTURE, name: bytes(60 << 20)}))["id"])


def test_what_links_and_devices_of_a_tar_carry_counts(ana: Ana) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("odd")
        info.type, info.size = b"Z", 60 << 20
        archive.addfile(info, io.BytesIO(bytes(60 << 20)))

    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(gzip.compress(file.getvalue()))["id"])


def test_junk_of_a_zip_is_never_unpacked(ana: Ana) -> None:
    done = ana.run(ana.send_archive(zipped({"1.png": PICTURE, ".DS_Store": bytes(60 << 20)}))["id"])

    assert (done["added"], done["ignored"]) == (1, 1)


def test_too_many_entries_are_refused_before_they_are_read(ana: Ana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MAX_ENTRIES", 3)

    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(zipped({f"{number}.png": b"" for number in range(5)}))["id"])


@pytest.mark.parametrize("cut", [False, True])
def test_too_many_entries_are_counted_where_nothing_tells_how_many(
    ana: Ana, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    monkeypatch.setattr(budget, "MAX_ENTRIES", 3)
    files = {f"{number}.png": encode(draw("circle", number)) for number in range(5)}

    with pytest.raises(ArchiveTooLarge) as failure:
        ana.run(ana.send_archive(stored(files)[:-30] if cut else tarred(files))["id"])

    assert failure.value.details == {"kept": 3}


@pytest.mark.parametrize("end", [b"PK\x05\x06", b"PK\x06\x06"])
def test_a_false_end_in_the_comment_does_not_hide_how_many_entries_there_are(
    ana: Ana, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    monkeypatch.setattr(zips, "MAX_ENTRIES", 3)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}.png", b"x")
        archive.comment = end + bytes(80)

    with pytest.raises((ArchiveTooLarge, NothingUsable)):
        ana.run(ana.send_archive(file.getvalue())["id"])

    assert ana.dataset()["images"] == 0


def test_a_lie_about_the_number_of_entries_changes_nothing(ana: Ana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MAX_ENTRIES", 3)
    content = bytearray(zipped({f"{number}.png": b"" for number in range(5)}))
    struct.pack_into("<HH", content, len(content) - 22 + 8, 1, 1)

    with pytest.raises(ArchiveTooLarge):
        ana.run(ana.send_archive(bytes(content))["id"])


def test_a_name_that_is_utf8_without_saying_so_is_read_as_utf8(ana: Ana) -> None:
    done = ana.run(ana.send_archive(without_utf8_mark(zipped({"caf\u00e9/1.png": PICTURE})))["id"])

    assert ana.images()[0]["path"] == "caf\u00e9/1.png"
    assert done["name_encoding"] is None
