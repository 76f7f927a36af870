from pathlib import Path

from worker.logfile import LogFile


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
