import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.imaging.errors import DecodersBusy, DecodersDown, Refused
from backend.imaging.limits import Limits
from backend.imaging.pool import DecodingPool
from backend.imaging.tasks import ReadImage, read_image
from tests.fixtures.pictures import draw, encode

PICTURE = encode(draw("circle", 1))
LIMITS = Limits(processor_s=2, clock_s=4, memory_bytes=1 << 30)


def read_or_misbehave(content: bytes) -> ReadImage | int:
    """A decoder with a few flaws."""
    match content:
        case b"crash":
            os.abort()
        case b"hang":
            time.sleep(60)
        case b"work":
            while True:
                pass
        case b"grow":
            return len(bytearray(2 << 30))
    return read_image(content)


def wait_long_in_little_processor_time() -> str:
    """As a sound picture on a machine that is busy with other things."""
    time.sleep(3)
    return "read"


def number_of_process() -> int:
    """Its process id."""
    return os.getpid()


def begin_and_wait(folder: Path) -> str:
    """Leave a file named by the process id, then take a while."""
    (folder / str(os.getpid())).touch()
    time.sleep(3)
    return "read"


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodingPool]:
    pool = DecodingPool(2, limits=LIMITS)
    yield pool
    pool.close()


def test_one_bad_file_costs_only_itself(pool: DecodingPool) -> None:
    contents = [PICTURE, b"crash", PICTURE, b"hang", b"grow", b"text", b"", PICTURE]

    answers = [answer for _, answer in pool.run_all(contents, lambda content: (read_or_misbehave, (content,)))]

    assert [answer.code if isinstance(answer, Refused) else type(answer).__name__ for answer in answers] == [
        "ReadImage",
        "image-crashed-decoder",
        "ReadImage",
        "image-too-slow",
        "image-too-large",
        "image-format-unknown",
        "image-empty",
        "ReadImage",
    ]


def test_one_bad_file_costs_only_itself_also_where_several_are_given_to_a_process_at_once(pool: DecodingPool) -> None:
    contents = [PICTURE, b"crash", b"", PICTURE, b"table", b"text", PICTURE]

    answers = pool.run_all(
        contents,
        lambda content: None if content == b"table" else (read_or_misbehave, (content,)),
        together=4,
    )

    assert [
        (content[:5], answer.code if isinstance(answer, Refused) else type(answer).__name__)
        for content, answer in answers
    ] == [
        (PICTURE[:5], "ReadImage"),
        (b"crash", "image-crashed-decoder"),
        (b"", "image-empty"),
        (PICTURE[:5], "ReadImage"),
        (b"table", "NoneType"),
        (b"text", "image-format-unknown"),
        (PICTURE[:5], "ReadImage"),
    ]


def test_of_large_pictures_fewer_are_given_at_once(pool: DecodingPool) -> None:
    drawn = 0

    def endless() -> Iterator[bytes]:
        nonlocal drawn
        while True:
            drawn += 1
            yield bytes(128 << 10)

    next(pool.run_all(endless(), lambda content: (read_image, (content,)), together=100))

    assert drawn == 20  # five groups of 512 kB


def test_a_file_that_takes_too_much_processor_time_is_refused(pool: DecodingPool) -> None:
    assert pool.run(read_or_misbehave, b"work") == Refused(
        "image-too-slow", "decoding it takes more time than the server allows for one picture"
    )


def test_time_by_the_clock_alone_refuses_nothing(pool: DecodingPool) -> None:
    assert pool.run(wait_long_in_little_processor_time) == "read"


def test_a_server_that_allows_larger_pictures_allows_them_more_time_and_memory() -> None:
    assert Limits.for_pixels(128_000_000) == Limits(40.0, 600.0, 4 << 30, 128_000_000)
    assert Limits.for_pixels(1_000_000) == Limits(20.0, 300.0, 2 << 30, 1_000_000)


def test_it_reads_from_an_endless_stream(pool: DecodingPool) -> None:
    drawn = 0

    def endless() -> Iterator[bytes]:
        nonlocal drawn
        while True:
            drawn += 1
            yield PICTURE

    answers = pool.run_all(endless(), lambda content: (read_image, (content,)))
    next(answers)

    assert drawn == 5


def test_what_isnt_to_be_decoded_is_passed_on(pool: DecodingPool) -> None:
    assert list(pool.run_all(["table.csv"], lambda _: None)) == [("table.csv", None)]


@pytest.mark.kill
def test_a_killed_idle_process_costs_no_picture(pool: DecodingPool) -> None:
    for _ in range(5):
        process = pool.run(number_of_process)
        assert isinstance(process, int)
        os.kill(process, signal.SIGKILL)

        assert isinstance(pool.run(read_image, PICTURE), ReadImage)


@pytest.mark.kill
def test_a_picture_whose_process_is_killed_once_is_read_by_another(pool: DecodingPool, tmp_path: Path) -> None:
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(pool.run(begin_and_wait, tmp_path)))
    waiting.start()
    _until(lambda: any(tmp_path.iterdir()))

    os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)
    waiting.join(60)

    assert answers == ["read"]
    assert len(list(tmp_path.iterdir())) == 2


def test_processes_that_cant_start_are_said_and_readiness_knows() -> None:
    pool = DecodingPool(1, limits=Limits(memory_bytes=1 << 20))
    try:
        with pytest.raises(DecodersDown):
            pool.run(read_image, PICTURE)
        with pytest.raises(DecodersDown):
            pool.check()
    finally:
        pool.close()


def test_a_pool_that_answers_is_ready(pool: DecodingPool) -> None:
    pool.run(read_image, PICTURE)

    pool.check()


def test_who_waits_too_long_for_a_turn_is_asked_to_come_back() -> None:
    pool = DecodingPool(1, wait_s=0.1)
    try:
        waiting = [threading.Thread(target=pool.run, args=(time.sleep, 1)) for _ in range(4)]
        for thread in waiting:
            thread.start()
        _until(lambda: pool.unfinished == 4)

        with pytest.raises(DecodersBusy) as refusal:
            pool.run(read_image, PICTURE)
        for thread in waiting:
            thread.join()
    finally:
        pool.close()

    assert refusal.value.code == "pictures-busy"
    assert pool.unfinished == 0


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
