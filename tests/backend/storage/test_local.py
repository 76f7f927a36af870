from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.domain.errors import NoRoom
from backend.domain.ids import Digest
from backend.storage import local
from backend.storage.local import LocalStorage, write_file

HELLO = Digest("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")


def test_it_keeps_bytes_under_their_hash(storage: LocalStorage) -> None:
    assert storage.put_bytes(b"hello") == HELLO
    assert storage.put_stream(iter((b"he", b"llo"))) == (HELLO, 5)
    assert storage.read_blob(HELLO) == b"hello"
    assert len([file for file in (storage.root / "blobs").rglob("*") if file.is_file()]) == 1


def test_it_keeps_several_in_their_order_and_the_same_bytes_once(storage: LocalStorage) -> None:
    world = Digest("486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7")

    assert storage.put_all([b"hello", b"world", b"hello"]) == [HELLO, world, HELLO]
    assert [storage.read_blob(digest) for digest in (HELLO, world)] == [b"hello", b"world"]
    assert sorted(file.name for file in storage.root.rglob("*") if file.is_file()) == [HELLO, world]
    assert storage.put_all([]) == []


def test_each_of_several_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []

    def sync(place: Path) -> None:
        kept = [file for file in (storage.root / "blobs").rglob("*") if file.is_file()]
        synced.append((place.read_bytes().decode() if place.is_file() else place.name, len(kept)))

    monkeypatch.setattr(local, "sync", sync)

    storage.put_all([b"hello", b"world"])

    assert sorted(synced) == [("6e", 2), ("f2", 2), ("hello", 0), ("world", 0)]


def test_only_their_owner_may_read_them(storage: LocalStorage) -> None:
    storage.put_all([b"hello"])
    write_file(storage.root / "a.webp", b"one")

    assert [file.stat().st_mode & 0o777 for file in storage.root.rglob("*") if file.is_file()] == [0o600, 0o600]


def test_of_several_that_break_off_nothing_is_left(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_place: Path) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(local, "sync", broken)

    with pytest.raises(OSError, match="the disk is gone"):
        storage.put_all([b"hello", b"world"])

    assert [file for file in storage.root.rglob("*") if file.is_file()] == []


def test_it_forgets(storage: LocalStorage) -> None:
    storage.put_bytes(b"hello")

    storage.delete_blob(HELLO)
    storage.delete_blob(HELLO)

    assert not storage.has_blob(HELLO)


def test_a_stream_that_breaks_leaves_nothing(storage: LocalStorage) -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        storage.put_stream(broken())

    assert [file for file in storage.root.rglob("*") if file.is_file()] == []


def test_it_refuses_when_the_disk_is_nearly_full(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "free_bytes", lambda: 1000)

    with pytest.raises(NoRoom):
        storage.put_bytes(b"hello")
    with pytest.raises(NoRoom):
        storage.put_all([b"hello", b"world"])

    assert [file for file in storage.root.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A" * 65])
def test_no_foreign_name_becomes_a_folder(storage: LocalStorage, name: str) -> None:
    with pytest.raises(AssertionError):
        storage.folder("thumbnails", name)


def test_folders_come_and_go(storage: LocalStorage) -> None:
    (storage.folder("checkpoints", "abc") / "file").write_bytes(b"x")

    storage.delete_folder("checkpoints", "abc")

    assert not (storage.root / "checkpoints" / "abc").exists()


def test_a_derived_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    write_file(tmp_path / "a.webp", b"one")
    write_file(tmp_path / "a.webp", b"two")

    assert [file.name for file in tmp_path.iterdir()] == ["a.webp"]
    assert (tmp_path / "a.webp").read_bytes() == b"two"
