import os
import time
from collections.abc import Iterator

import pytest

from backend.imaging.pool import DecodingPool, ReadImage, Refused, read_image
from tests.fixtures.pictures import draw, encode


def read_or_misbehave(content: bytes) -> ReadImage | Refused:
    """A decoder with two flaws."""
    if content == b"crash":
        os.abort()
    if content == b"hang":
        time.sleep(60)
    return read_image(content)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodingPool]:
    pool = DecodingPool(2, timeout_s=2, read=read_or_misbehave)
    yield pool
    pool.close()


def test_one_bad_file_costs_only_itself(pool: DecodingPool) -> None:
    picture = encode(draw("circle", 1))
    contents = [picture, b"crash", picture, b"hang", b"text", b"", picture]

    answers = [answer for _, answer in pool.read_all(contents, lambda content: content)]

    assert [answer.code if isinstance(answer, Refused) else answer.facts.format for answer in answers] == [
        "PNG",
        "image-crashed-decoder",
        "PNG",
        "image-too-slow",
        "image-format-unknown",
        "image-empty",
        "PNG",
    ]


def test_it_reads_from_an_endless_stream(pool: DecodingPool) -> None:
    picture = encode(draw("circle", 1))
    drawn = 0

    def endless() -> Iterator[bytes]:
        nonlocal drawn
        while True:
            drawn += 1
            yield picture

    answers = pool.read_all(endless(), lambda content: content)
    next(answers)

    assert drawn == 5
