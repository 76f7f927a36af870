"""Parts that hang are waited for only so long, by one thread."""

import asyncio
from threading import Event

from backend.system.readiness import Readiness


def test_a_part_that_hangs_is_asked_so_in_time() -> None:
    may_end = Event()
    asked = []

    def hang() -> None:
        asked.append(1)
        may_end.wait(10)

    readiness = Readiness({"database": hang, "storage": lambda: None}, patience_s=0.05)

    async def ask_often() -> list[dict[str, str]]:
        return [await readiness.words() for _ in range(3)]

    words = asyncio.run(ask_often())
    may_end.set()

    assert words == [{"database": "doesn't answer", "storage": "ok"}] * 3
    assert len(asked) == 1


def test_a_part_that_comes_back_is_ready_again() -> None:
    broken = [True]

    def part() -> None:
        if broken:
            raise ConnectionError("secret address")

    readiness = Readiness({"queue": part})

    assert asyncio.run(readiness.words()) == {"queue": "unavailable"}
    broken.clear()
    assert asyncio.run(readiness.words()) == {"queue": "ok"}
