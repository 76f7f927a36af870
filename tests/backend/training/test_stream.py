import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from sqlalchemy import delete

from backend.db.session import Database
from backend.domain.json import Json
from backend.domain.runs import RunNotFound
from backend.tables.training import RunRow
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.repository import RunRepository
from backend.training.stream import EventFeed, messages
from tests.backend.training.scene import Scene, epoch_finished, step_finished

Answer = TypeVar("Answer")
Sent = dict[str, Json]


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


@pytest.fixture
def feed(database: Database) -> Iterator[EventFeed]:
    feed = EventFeed(database)
    yield feed
    feed.stop()


def _run(story: Callable[[], Awaitable[Answer]]) -> Answer:
    async def limited() -> Answer:
        return await asyncio.wait_for(story(), 20)

    return asyncio.run(limited())


async def _open(feed: EventFeed, **options: Any) -> Any:  # Any: as EventFeed.open takes them; an iterator of messages
    loop = asyncio.get_running_loop()
    subscription = await asyncio.to_thread(lambda: feed.open(loop, **options))
    return messages(feed, subscription)


async def _until(stream: Any, kind: str) -> list[Sent]:  # Any: an asynchronous iterator
    found: list[Sent] = []
    async for message in stream:
        found.append(message)
        if message["event"] == kind:
            break
    return found


def test_a_stream_of_a_run_begins_with_all_there_is(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        progress.record_events(session, claim, [step_finished(2, losses=2)], Standing(0, 0, 0.1, None))
        progress.record_epoch(session, claim, epoch_finished(0, 0), None, Standing(0, 1, 0.2, 30.0))

    async def story() -> Sent:
        stream = await _open(feed, run_id=run_id)
        (first,) = await _until(stream, "snapshot")
        await stream.aclose()
        return first

    first = _run(story)
    content = json.loads(first["data"])
    assert (content["run"]["id"], content["run"]["status"], content["run"]["progress"]) == (run_id, "running", 0.2)
    assert [row["epoch"] for row in content["epochs"]] == [0]
    assert [point["losses"] for point in content["curve"]] == [[0.7, 0.7]]
    assert int(first["id"]) > 0


def test_what_happens_later_follows_and_the_end_ends_it(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()
    claim = scene.claim()

    async def story() -> list[Sent]:
        stream = await _open(feed, run_id=run_id)
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
    assert feed.subscriptions == 0


def test_a_stream_continues_where_it_broke_off(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        for step in range(1, 6):
            progress.record_events(session, claim, [step_finished(step)], Standing())

    async def story() -> list[Sent]:
        stream = await _open(feed, run_id=run_id, after=0)
        whole = (await _until(stream, "snapshot"))[1:]
        while len(whole) < 5:
            whole += await _until(stream, "steps")
        await stream.aclose()
        again = await _open(feed, run_id=run_id, after=int(whole[2]["id"]))
        await _until(again, "snapshot")
        rest = await _until(again, "steps") + await _until(again, "steps")
        await again.aclose()
        return rest

    assert [json.loads(message["data"])["step"] for message in _run(story)] == [4, 5]


def test_a_number_that_never_was_begins_with_what_is_new(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()
    claim = scene.claim()

    async def story() -> list[Sent]:
        stream = await _open(feed, run_id=run_id, after=10**9)
        await _until(stream, "snapshot")
        with scene.database.write() as session:
            progress.record_events(session, claim, [step_finished(1)], Standing())
        return await _until(stream, "steps")

    assert _run(story)[-1]["event"] == "steps"


def test_an_unknown_run_has_no_stream(feed: EventFeed) -> None:
    async def story() -> None:
        await _open(feed, run_id="nobodys")

    with pytest.raises(RunNotFound):
        _run(story)
    assert feed.subscriptions == 0


def test_the_pill_follows_the_newest_run_to_its_end(scene: Scene, feed: EventFeed) -> None:
    async def story() -> list[Any]:
        stream = await _open(feed, wants_pill=True)
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


def test_one_tab_has_one_stream_for_both(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()

    async def story() -> list[Sent]:
        stream = await _open(feed, run_id=run_id, wants_pill=True)
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


def test_a_subscriber_that_is_too_slow_is_cut_off_after_what_it_was_sent_first(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()

    async def story() -> list[Json]:
        loop = asyncio.get_running_loop()
        subscription = await asyncio.to_thread(lambda: feed.open(loop, run_id=run_id))
        await asyncio.sleep(0.1)
        for number in range(2001):
            subscription.send("steps", {"number": number})
        return [json.loads(message["data"]).get("number") async for message in messages(feed, subscription)]

    assert _run(story) == [None, *range(2000)]


def test_every_message_has_an_id_that_shows_where_to_go_on(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()
    claim = scene.claim()

    async def story() -> list[Sent]:
        stream = await _open(feed, run_id=run_id)
        found = await _until(stream, "snapshot")
        with scene.database.write() as session:
            progress.record_events(session, claim, [step_finished(1)], Standing())
        found += await _until(stream, "steps")
        scene.finish(claim)
        return found + [message async for message in stream]

    found = _run(story)
    ids = [int(message["id"]) for message in found]
    steps = next(int(message["id"]) for message in found if message["event"] == "steps")
    assert ids == sorted(ids)
    assert {int(message["id"]) for message in found if message["event"] == "end"} == {steps}


def test_after_the_id_of_a_run_message_come_all_events_since(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        progress.record_events(session, claim, [step_finished(1)], Standing())

    async def story() -> list[Sent]:
        stream = await _open(feed, run_id=run_id)
        await _until(stream, "snapshot")
        with scene.database.write() as session:
            progress.record_events(session, claim, [], Standing(0, 0, 0.3, 60.0))
        (last,) = [message for message in await _until(stream, "run") if message["event"] == "run"]
        await stream.aclose()
        with scene.database.write() as session:
            progress.record_events(session, claim, [step_finished(2)], Standing(0, 0, 0.3, 60.0))
        again = await _open(feed, run_id=run_id, after=int(last["id"]))
        rest = await _until(again, "steps")
        await again.aclose()
        return rest

    snapshot, *rest = _run(story)
    assert snapshot["event"] == "snapshot"
    assert [json.loads(message["data"])["step"] for message in rest if message["event"] == "steps"] == [2]


def test_a_deleted_run_ends_its_streams_and_no_others(scene: Scene, feed: EventFeed) -> None:
    doomed = scene.run()
    kept = scene.run()
    claim = scene.claim()
    assert claim.subject_id == doomed

    async def story() -> tuple[list[Sent], list[Sent], list[Sent]]:
        alone = await _open(feed, run_id=doomed)
        page = await _open(feed, run_id=doomed, wants_pill=True)
        other = await _open(feed, run_id=kept)
        with scene.database.write() as session:
            session.execute(delete(RunRow).where(RunRow.id == doomed))
        of_alone = [message async for message in alone]
        of_page = await _until(page, "end")
        with scene.database.write() as session:
            RunRepository(session).show(kept, progress=0.5)
        of_other = await _until(other, "run")
        await page.aclose()
        await other.aclose()
        return of_alone, of_page, of_other

    of_alone, of_page, of_other = _run(story)
    assert json.loads(of_alone[-1]["data"]) == {"status": "deleted"}
    assert json.loads(of_page[-1]["data"]) == {"status": "deleted"}
    assert json.loads(of_other[-1]["data"])["progress"] == 0.5


def test_a_run_that_cannot_be_read_ends_its_own_streams_only(scene: Scene, feed: EventFeed) -> None:
    damaged, kept = scene.run(), scene.run()

    async def story() -> tuple[list[Sent], list[Sent]]:
        stream = await _open(feed, run_id=damaged)
        other = await _open(feed, run_id=kept)
        with scene.database.write() as session:
            RunRepository(session).show(damaged, config={})
            RunRepository(session).show(kept, progress=0.5)
        found = [message async for message in stream]
        of_other = await _until(other, "run")
        await other.aclose()
        return found, of_other

    found, of_other = _run(story)
    assert json.loads(found[-1]["data"]) == {"status": "unavailable"}
    assert json.loads(of_other[-1]["data"])["progress"] == 0.5


def test_a_thread_that_has_ended_is_replaced(scene: Scene, feed: EventFeed) -> None:
    run_id = scene.run()

    async def story() -> list[Sent]:
        first = await _open(feed, run_id=run_id)
        await _until(first, "snapshot")
        await first.aclose()
        while any(thread.name == "events" for thread in threading.enumerate()):
            await asyncio.sleep(0.02)
        again = await _open(feed, run_id=run_id)
        with scene.database.write() as session:
            RunRepository(session).show(run_id, progress=0.5)
        found = await _until(again, "run")
        await again.aclose()
        return found

    assert _run(story)[-1]["event"] == "run"
