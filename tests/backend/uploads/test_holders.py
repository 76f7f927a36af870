"""Who holds an upload: one that moves keeps it, one that is stuck gives way within seconds."""

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from backend.uploads.errors import UploadBusy
from backend.uploads.holders import Hold, Holders, TakenOver


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _stream(chunks: Iterator[bytes], then: anyio.Event) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    await then.wait()


async def _bring(hold: Hold, chunks: list[bytes], ended: list[str], never: anyio.Event) -> None:
    try:
        async for _ in hold.watched(_stream(iter(chunks), never)):
            pass
    except TakenOver:
        ended.append("taken over")


@pytest.mark.parametrize("chunks", [[b"x" * 10_000_000], [b"x"], []], ids=["fast at first", "one byte", "nothing"])
def test_u06_whoever_asks_next_gets_an_upload_whose_sender_is_stuck(chunks: list[bytes]) -> None:
    clock, ended = Clock(), list[str]()

    async def play() -> None:
        holders, never = Holders(clock), anyio.Event()

        async def stuck() -> None:
            async with holders.hold("pets") as hold:
                await _bring(hold, chunks, ended, never)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stuck)
            await anyio.wait_all_tasks_blocked()
            clock.now += 4
            with pytest.raises(UploadBusy):
                async with holders.hold("pets"):
                    pass
            clock.now += 2
            async with holders.hold("pets"):
                ended.append("held by the next")

    anyio.run(play)

    assert ended == ["taken over", "held by the next"]


def test_u05_a_sender_whose_bytes_come_keeps_its_upload() -> None:
    clock = Clock()

    async def play() -> None:
        holders, more = Holders(clock), anyio.Event()

        async def steady() -> AsyncIterator[bytes]:
            for _ in range(10):
                clock.now += 1
                yield b"x" * 20_000
            await more.wait()

        async with anyio.create_task_group() as tasks:

            async def bring() -> None:
                async with holders.hold("pets") as hold:
                    async for _ in hold.watched(steady()):
                        pass

            tasks.start_soon(bring)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UploadBusy):
                async with holders.hold("pets"):
                    pass
            async with holders.hold("another"):
                more.set()

    anyio.run(play)
