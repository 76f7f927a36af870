"""How uploaded bytes are sent."""

import asyncio
import io

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from backend.datasets.serving import FileAnswer


def test_a_file_is_closed_even_if_nobody_takes_its_first_piece() -> None:
    file = io.BytesIO(b"a picture")
    answer = FileAnswer(file, "image/png", {})

    async def gone(_message: Message) -> None:
        raise OSError("the browser has gone")

    async def listen() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        asyncio.run(answer(scope, listen, gone))

    assert file.closed
