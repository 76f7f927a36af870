"""Measurements beside requests: one for each checkpoint, to be cancelled."""

import threading

from sqlalchemy import delete, func, select

from backend.db.session import Database
from backend.domain.confidence.settings import ConfidenceSettings
from backend.prediction.confidence.measuring import Measurement, Measurements
from backend.storage.local import LocalStorage
from backend.tables.interpretation import PredictionRow
from backend.tables.training import CheckpointRow, ConfidenceRow
from backend.training.confidence.chosen import keep_settings
from tests.backend.prediction.confidence.conftest import Scene


def test_whoever_asks_twice_waits_for_the_same_one() -> None:
    measurements, may_end, calls = Measurements(), threading.Event(), list[Measurement]()

    def work(progress: Measurement) -> None:
        calls.append(progress)
        may_end.wait(10)

    first = measurements.start("one", work)
    second = measurements.start("one", work)
    may_end.set()
    measurements.wait_for_all()

    assert first is second
    assert len(calls) == 1
    assert measurements.of("one") is None


def test_one_that_waits_is_cancelled_before_it_begins() -> None:
    measurements, may_end, done = Measurements(), threading.Event(), list[str]()

    def wait(progress: Measurement) -> None:
        may_end.wait(10)

    measurements.start("one", wait)
    measurements.start("two", lambda progress: done.append("two"))

    measurements.cancel("two")
    may_end.set()
    measurements.wait_for_all()

    assert done == []


def test_all_are_cancelled_when_the_server_stops() -> None:
    measurements, has_begun = Measurements(), threading.Event()

    def work(progress: Measurement) -> None:
        has_begun.set()
        while not progress.is_cancelled:
            threading.Event().wait(0.01)

    measurements.start("one", work)
    has_begun.wait(10)
    measurements.cancel_all()

    measurements.wait_for_all()


def test_a_fault_of_ours_is_said_and_the_next_try_begins_anew() -> None:
    measurements = Measurements()

    def fail(progress: Measurement) -> None:
        raise RuntimeError("broken")

    measurements.start("one", fail)
    measurements.wait_for_all()
    failed = measurements.of("one")

    assert failed is not None
    assert failed.failed == "The measurement failed; the reason is in the server's log."
    measurements.start("one", lambda progress: None)
    measurements.wait_for_all()
    assert measurements.of("one") is None


def test_what_was_chosen_goes_with_its_checkpoint(database: Database, storage: LocalStorage, scene: Scene) -> None:
    with database.write() as session:
        keep_settings(session, scene.checkpoint_id, ConfidenceSettings(threshold=0.9), None)
    with database.write() as session:
        session.execute(delete(PredictionRow))
        session.execute(delete(CheckpointRow))

    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(ConfidenceRow)) == 0
