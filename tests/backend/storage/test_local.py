from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.domain.errors import NoRoom
from backend.domain.ids import Digest
from backend.storage.local import LocalStorage, write_file

HELLO = Digest("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")


def test_it_keeps_bytes_under_their_hash(storage: LocalStorage) -> None:
    assert storage.put_bytes(b"hello") == HELLO
    assert storage.put_stream(iter((b"he", b"llo"))) == (HELLO, 5)
    assert storage.read_blob(HELLO) == b"hello"
    assert len([file for file in (storage.root / "blobs").rglob("*") if file.is_file()]) == 1


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
