"""What is kept of measured speeds, and for how long."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import update

from backend.db.base import utc_now
from backend.db.session import Database
from backend.tables.training import SpeedRow
from backend.training.forecast.measurements import keep_speeds, needs_test
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work

NET = "efficientnet-lite0"


def kept(database: Database) -> Counter[tuple[str, str | None]]:
    """How many measurements there are, by kind of work and run."""
    with database.read() as session:
        return Counter((speed.work.value, speed.run_id) for speed in Speeds(session).latest("cpu"))


def test_one_long_run_doesnt_displace_what_other_runs_left(database: Database) -> None:
    with database.write() as session:
        speeds = Speeds(session)
        speeds.add("cpu: a", [Speed(Work.READ, None, 224, 24, 0.05), Speed(Work.MOVE, NET, 224, 80, 9, "first")])
        for _ in range(700):
            speeds.add("cpu: a", [Speed(Work.MOVE, NET, 224, 80, 9, "long")])

    assert kept(database) == {("read", None): 1, ("move", "first"): 1, ("move", "long"): 5}


def test_of_many_runs_the_latest_thirty_measurements_of_a_kind_of_work_stay(database: Database) -> None:
    with database.write() as session:
        for run in range(40):
            Speeds(session).add("cpu: a", [Speed(Work.MOVE, NET, 224, 80, 9, str(run))])

    assert set(kept(database)) == {("move", str(run)) for run in range(10, 40)}


def test_what_another_machine_or_network_took_is_left_alone(database: Database) -> None:
    with database.write() as session:
        speeds = Speeds(session)
        speeds.add("cuda: card", [Speed(Work.MOVE, NET, 224, 80, 1, "card")])
        speeds.add("cpu: a", [Speed(Work.MOVE, "resnet18", 224, 80, 5, "other")])
        speeds.add("cpu: a", [Speed(Work.MOVE, NET, 224, 80, 9, "long") for _ in range(100)])

    assert kept(database) == {("move", "other"): 1, ("move", "long"): 5}
    with database.read() as session:
        assert [speed.run_id for speed in Speeds(session).latest("cuda")] == ["card"]


def test_a_test_of_a_machine_replaces_the_one_before_and_no_training(database: Database) -> None:
    with database.write() as session:
        speeds = Speeds(session)
        speeds.add("cpu: a", [Speed(Work.MOVE, NET, 224, 8, 9.0), Speed(Work.READ, None, 224, 8, 1.0)])
        speeds.add("cpu: a", [Speed(Work.MOVE, NET, 224, 80, 9, "run")])
        speeds.add("cpu: b", [Speed(Work.MOVE, NET, 224, 8, 2.0)])
        speeds.add("cpu: a", [Speed(Work.MOVE, NET, 224, 8, 0.5)])

        assert [(one.seconds, one.run_id) for one in speeds.latest("cpu")] == [(0.5, None), (9, "run")]
        assert speeds.tested_at("cpu: b") is not None


def test_a_machine_is_tested_again_after_a_day(database: Database) -> None:
    with database.write() as session:
        assert needs_test(session, "cpu: a")

        keep_speeds(session, "cpu: a", [Speed(Work.MOVE, NET, 224, 80, 9, "run")])
        assert needs_test(session, "cpu: a")

        keep_speeds(session, "cpu: a", [Speed(Work.MOVE, NET, 224, 8, 9.0)])
        assert not needs_test(session, "cpu: a")
        assert needs_test(session, "cpu: other")

        session.execute(update(SpeedRow).values(created_at=utc_now() - timedelta(hours=25)))
        assert needs_test(session, "cpu: a")
