import os
import time
from pathlib import Path

from worker.logfile import LogFile, remove_old_logs

DAY_S = 24 * 3600.0


def test_a_short_log_stays_as_it_is(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "1.log", limit=1000)
    with log.open() as file:
        file.write(b"x" * 1000)

    log.cap()

    assert log.path.read_bytes() == b"x" * 1000


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "1.log", limit=1000)
    with log.open() as file:
        file.write(b"A" * 250 + b"m" * 2000 + b"Z" * 250)
        file.flush()
        log.cap()
        file.write(b"later")

    assert log.path.read_bytes() == b"A" * 250 + b"\n... 2,000 bytes left out ...\n" + b"Z" * 250 + b"later"


def test_a_log_that_was_removed_meanwhile_is_no_error(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "1.log", limit=1000)

    log.cap()

    assert not log.path.exists()


def _log_of_age(path: Path, days: float, content: bytes = b"x" * 100) -> Path:
    path.write_bytes(content)
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def test_logs_are_removed_a_month_after_their_last_line(tmp_path: Path) -> None:
    young, old = _log_of_age(tmp_path / "1.log", 29), _log_of_age(tmp_path / "2.log", 31)

    removed = remove_old_logs(tmp_path)

    assert (removed, young.exists(), old.exists()) == (1, True, False)


def test_of_too_many_logs_the_oldest_go_first_and_those_in_use_stay(tmp_path: Path) -> None:
    in_use = _log_of_age(tmp_path / "now.log", 0, b"x" * 300)
    logs = [_log_of_age(tmp_path / f"{days}.log", days) for days in (1, 2, 3)]

    removed = remove_old_logs(tmp_path, kept_bytes=450)

    assert removed == 2
    assert [log.exists() for log in [in_use, *logs]] == [True, True, False, False]
