import errno
from pathlib import Path

import pytest

from worker.engine.checkpoints.durable import new_folder, remove_partials, replace_file, write_file


def test_a_file_takes_its_place_at_once(tmp_path: Path) -> None:
    write_file(tmp_path / "a.bin", b"old")

    write_file(tmp_path / "a.bin", b"new")

    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_disk_that_reads_back_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"other")

    with pytest.raises(OSError, match="reads back differently"):
        write_file(tmp_path / "a.bin", b"new")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "made") as partial:
            write_file(partial / "a.bin", b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with new_folder(tmp_path / "made") as partial:
            write_file(partial / name, b"content")

    assert [file.name for file in (tmp_path / "made").iterdir()] == ["new"]


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".stage-0.abc.partial").mkdir()
    (tmp_path / ".state.abc.partial").touch()
    (tmp_path / "stage-0").mkdir()

    remove_partials(tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["stage-0"]


def test_what_can_be_made_anew_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kept"
    replace_file(file, b"first ", b"content")

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="full"):
        replace_file(file, b"second")

    assert file.read_bytes() == b"first content"
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
