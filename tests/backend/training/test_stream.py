import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from backend.db.session import Database
from backend.domain.json import Json
from backend.domain.runs import RunNotFound
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.stream import Message, Watch, messages
from tests.backend.training.scene import Scene, epoch_finished, step_finished

Answer = TypeVar("Answer")
Sent = dict[str, Json]


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
def watch(database: Database) -> Iterator[Watch]:
    watch = Watch(database)
    yield watch
    watch.stop()


def _run(story: Callable[[], Awaitable[Answer]]) -> Answer:
    async def limited() -> Answer:
        return await asyncio.wait_for(story(), 20)

    return asyncio.run(limited())


async def _open(watch: Watch, **options: Any) -> Any:  # Any: as Watch.open takes them; an iterator of messages
    loop = asyncio.get_running_loop()
    listener = await asyncio.to_thread(lambda: watch.open(loop, **options))
    return messages(watch, listener)


async def _until(stream: Any, kind: str) -> list[Sent]:  # Any: an asynchronous iterator
    found: list[Sent] = []
    async for message in stream:
        found.append(message)
        if message["event"] == kind:
            break
    return found


def test_a_stream_of_a_run_begins_with_all_there_is(scene: Scene, watch: Watch) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        progress.record_events(session, claim, [step_finished(2, losses=2)], Standing(0, 0, 0.1, None))
        progress.record_epoch(session, claim, epoch_finished(0, 0), None, Standing(0, 1, 0.2, 30.0))

    async def story() -> Sent:
        stream = await _open(watch, run_id=run_id)
        (first,) = await _until(stream, "snapshot")
        await stream.aclose()
        return first

    first = _run(story)
    content = json.loads(first["data"])
    assert (content["run"]["id"], content["run"]["status"], content["run"]["progress"]) == (run_id, "running", 0.2)
    assert [row["epoch"] for row in content["epochs"]] == [0]
    assert [point["losses"] for point in content["curve"]] == [[0.7, 0.7]]
    assert int(first["id"]) > 0


def test_what_happens_later_follows_and_the_end_ends_it(scene: Scene, watch: Watch) -> None:
    run_id = scene.run()
    claim = scene.claim()

    async def story() -> list[Sent]:
        stream = await _open(watch, run_id=run_id)
        found = await _until(stream, "snapshot")
        with scene.database.write() as session:
            progress.record_epoch(session, claim, epoch_finished(0, 0), None, Standing(0, 1, 0.2, 30.0))
        found += await _until(stream, "epoch")
        with scene.database.write() as session:
            progress.finish(session, claim)
        return found + [message async for message in stream]

    found = _run(story)
    assert [message["event"] for message in found if message["event"] != "run"] == ["snapshot", "epoch", "end"]
    assert json.loads(found[-1]["data"]) == {"status": "succeeded"}
    (last_run,) = [json.loads(message["data"]) for message in found if message["event"] == "run"][-1:]
    assert (last_run["status"], last_run["progress"]) == ("succeeded", 1.0)
    assert watch.listeners == 0


def test_a_stream_goes_on_where_it_broke_off(scene: Scene, watch: Watch) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        for step in range(1, 6):
            progress.record_events(session, claim, [step_finished(step)], Standing())

    async def story() -> list[Sent]:
        stream = await _open(watch, run_id=run_id, after=0)
        whole = (await _until(stream, "snapshot"))[1:]
        while len(whole) < 5:
            whole += await _until(stream, "steps")
        await stream.aclose()
        again = await _open(watch, run_id=run_id, after=int(whole[2]["id"]))
        await _until(again, "snapshot")
        rest = await _until(again, "steps") + await _until(again, "steps")
        await again.aclose()
        return rest

    assert [json.loads(message["data"])["step"] for message in _run(story)] == [4, 5]


def test_a_number_that_never_was_begins_with_what_is_new(scene: Scene, watch: Watch) -> None:
    run_id = scene.run()
    claim = scene.claim()

    async def story() -> list[Sent]:
        stream = await _open(watch, run_id=run_id, after=10**9)
        await _until(stream, "snapshot")
        with scene.database.write() as session:
            progress.record_events(session, claim, [step_finished(1)], Standing())
        return await _until(stream, "steps")

    assert _run(story)[-1]["event"] == "steps"


def test_an_unknown_run_has_no_stream(watch: Watch) -> None:
    async def story() -> None:
        await _open(watch, run_id="nobodys")

    with pytest.raises(RunNotFound):
        _run(story)
    assert watch.listeners == 0


def test_the_pill_follows_the_newest_run_to_its_end(scene: Scene, watch: Watch) -> None:
    async def story() -> list[Any]:
        stream = await _open(watch, wants_pill=True)
        pills = await _until(stream, "pill")
        run_id = scene.run()
        pills += [message for message in await _until(stream, "run") if message["event"] == "pill"]
        claim = scene.claim()
        pills += [message for message in await _until(stream, "run") if message["event"] == "pill"]
        scene.finish(claim)
        pills += [message for message in await _until(stream, "run") if message["event"] == "pill"]
        await stream.aclose()
        assert json.loads(pills[1]["data"])["run_id"] == run_id
        return [json.loads(pill["data"]) for pill in pills]

    nothing, queued, running, ended = _run(story)
    assert nothing is None
    assert (queued["status"], queued["queue"], queued["dataset"]) == ("queued", 1, "Shapes")
    assert (running["status"], running["queue"]) == ("running", None)
    assert ended["status"] == "succeeded"


def test_one_tab_has_one_stream_for_both(scene: Scene, watch: Watch) -> None:
    run_id = scene.run()

    async def story() -> list[Sent]:
        stream = await _open(watch, run_id=run_id, wants_pill=True)
        found = await _until(stream, "pill")
        scene.finish(scene.claim())
        # In either order: the database may be looked at between the two.
        while not {"end", "pill"} <= {message["event"] for message in found[2:]}:
            found.append(await anext(stream))
        await stream.aclose()
        return found

    kinds = [message["event"] for message in _run(story)]
    assert kinds[:2] == ["snapshot", "pill"]
    assert kinds.count("end") == 1


def test_a_listener_who_does_not_keep_up_is_cut_off(scene: Scene, watch: Watch) -> None:
    run_id = scene.run()

    async def story() -> int:
        loop = asyncio.get_running_loop()
        listener = await asyncio.to_thread(lambda: watch.open(loop, run_id=run_id))
        await asyncio.sleep(0.1)
        for number in range(2001):
            listener.send(Message("steps", {}, number))
        return len([message async for message in messages(watch, listener)])

    assert _run(story) == 2000
