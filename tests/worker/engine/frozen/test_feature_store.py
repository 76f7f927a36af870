import errno
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from backend.domain.ids import Digest
from tests.fixtures.engine import digest_of
from worker.engine.frozen import feature_store
from worker.engine.frozen.feature_store import FeatureStore

A, B, C = digest_of("a"), digest_of("b"), digest_of("c")


def keep(folder: Path, *digests: Digest, value: float = 1.0, name: str = "view 0") -> None:
    group = FeatureStore(folder).group("layers", name)
    for digest in digests:
        group.add(digest, np.full(4, value, np.float32))
    group.flush()


def kept(folder: Path | None, *wanted: Digest, name: str = "view 0") -> dict[Digest, list[float]]:
    return {
        digest: values.tolist() for digest, values in FeatureStore(folder).group("layers", name).known(wanted).items()
    }


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("answers-*/*.shard"))


def test_what_was_kept_is_known_and_the_rest_is_not(tmp_path: Path) -> None:
    keep(tmp_path, A, B)
    keep(tmp_path, C, value=2.0)

    assert kept(tmp_path, A, C) == {A: [1.0] * 4, C: [2.0] * 4}
    assert kept(tmp_path, A, name="view 1") == {}
    assert kept(tmp_path, digest_of("d")) == {}


def test_without_a_folder_nothing_is_kept() -> None:
    group = FeatureStore(None).group("layers")
    group.add(A, np.zeros(4, np.float32))
    group.flush()

    assert group.known([A]) == {}


def test_numbers_come_back_in_their_format_and_shape(tmp_path: Path) -> None:
    group = FeatureStore(tmp_path).group("blocks")
    group.add(A, np.ones((2, 3, 3), np.float16))
    group.flush()

    (found,) = FeatureStore(tmp_path).group("blocks").known([A]).values()
    assert (found.dtype.name, found.shape) == ("float16", (2, 3, 3))


@pytest.mark.parametrize("place", [0, 40, -1])
def test_one_flipped_bit_is_noticed_and_the_rest_stays(tmp_path: Path, place: int) -> None:
    keep(tmp_path, A)
    (damaged,) = shards(tmp_path)
    keep(tmp_path, B)
    content = bytearray(damaged.read_bytes())
    content[place] ^= 1
    damaged.write_bytes(bytes(content))

    assert kept(tmp_path, A, B) == {B: [1.0] * 4}
    assert damaged not in shards(tmp_path)


@pytest.mark.parametrize("length", [0, 10, 32, 100])
def test_a_file_cut_short_is_noticed(tmp_path: Path, length: int) -> None:
    keep(tmp_path, A)
    (damaged,) = shards(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:length])

    assert kept(tmp_path, A) == {}


def test_what_a_killed_process_left_half_written_is_removed_later(tmp_path: Path) -> None:
    keep(tmp_path, A)
    partial = shards(tmp_path)[0].with_suffix(".partial")
    partial.write_bytes(b"half")
    assert kept(tmp_path, A) == {A: [1.0] * 4}
    os.utime(partial, (1, 1))

    keep(tmp_path, B)

    assert not partial.exists()


def test_a_full_disk_keeps_nothing_and_nobody_minds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    keep(tmp_path, A)

    assert kept(tmp_path, A) == {}
    assert list(tmp_path.glob("answers-*/*")) == []


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for number, digest in enumerate((A, B, C)):
        keep(tmp_path, digest)
        newest = max(shards(tmp_path), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1_000 + number, 1_000 + number))
    assert kept(tmp_path, A) == {A: [1.0] * 4}  # used again just now

    FeatureStore(tmp_path, max_bytes=2 * shards(tmp_path)[0].stat().st_size).evict()

    assert kept(tmp_path, A, B, C) == {A: [1.0] * 4, C: [1.0] * 4}


def _write_and_read(folder: Path, number: int) -> None:
    for turn in range(10):
        keep(folder, digest_of(f"{number} {turn}"), A, value=1.0)
        assert kept(folder, A) == {A: [1.0] * 4}


def test_many_processes_write_and_read_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write_and_read, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    wanted = [digest_of(f"{number} {turn}") for number in range(3) for turn in range(10)]
    assert len(kept(tmp_path, *wanted)) == 30


def test_a_large_pass_is_kept_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "SHARD_BYTES", 32)
    group = FeatureStore(tmp_path).group("layers", "view 0")
    for digest in (A, B, C):
        group.add(digest, np.zeros(4, np.float32))

    # The third waits: a kill now costs it alone.
    assert set(kept(tmp_path, A, B, C)) == {A, B}


def test_a_slow_pass_is_kept_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "KEEP_EVERY_S", 0.0)
    reported: list[int] = []
    group = FeatureStore(tmp_path, on_kept=reported.append).group("layers", "view 0")

    for digest in (A, B):
        group.add(digest, np.zeros(4, np.float32))

    assert set(kept(tmp_path, A, B)) == {A, B}
    assert reported == [1, 1]


def test_a_folder_that_can_not_be_written_reports_nothing_as_kept(tmp_path: Path) -> None:
    (tmp_path / "features").write_bytes(b"a file where the folder should be")
    reported: list[int] = []
    group = FeatureStore(tmp_path / "features", on_kept=reported.append).group("layers", "view 0")
    group.add(A, np.zeros(4, np.float32))

    group.flush()

    assert reported == []
