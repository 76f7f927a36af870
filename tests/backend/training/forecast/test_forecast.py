from pathlib import Path

import pytest

from backend.db.session import Database
from backend.domain.ids import RunId, VersionId
from backend.domain.training import DeviceWanted, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.ledger.job import JobKind, MachineState, Worker
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.tables.datasets import VersionRow
from backend.tables.examination import ExaminationRow
from backend.training.forecast.forecast import Forecaster, Timetable, timetable
from backend.training.forecast.load import QUIET
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Estimate, Source, Speed
from backend.training.forecast.work import Work, WorkItem
from backend.training.repository import RunRepository
from backend.training.start import RunOrder, start
from backend.training.within_time import within_time
from tests.backend.training.scene import COUNTS, Scene

NET = "efficientnet-lite0"
CONFIG = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=3, views=1),)))
TESTED = [
    Speed(Work.READ, None, 224, 20, 0.04),
    Speed(Work.ANSWER, NET, 224, 8, 0.16),
    Speed(Work.MOVE, NET, 224, 8, 2.0),
]


def keep(database: Database, machine: str, speeds: list[Speed]) -> None:
    """What was measured on a machine."""
    with database.write() as session:
        Speeds(session).add(machine, speeds)


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_nothing_is_known_of_the_time_before_anything_was_measured(database: Database) -> None:
    with database.read() as session:
        said = Forecaster(session, COUNTS).forecast(CONFIG)

    assert (said.seconds_low, said.seconds_high, said.basis) == (None, None, "unknown, first run")
    assert said.memory_bytes == 1_618_608_032


def test_a_test_of_the_machine_gives_the_first_run_a_time(database: Database) -> None:
    keep(database, "cpu: a", TESTED)

    with database.read() as session:
        said = Forecaster(session, COUNTS).forecast(CONFIG)

    # 5.5 s start, 0.4 reading, 1.2 preparing, 200 pictures at 0.45 of 0.02 s, 480 of the head at 0.6 ms, 2.2 export.
    middle = 5.5 + 0.4 + 1.2 + 200 * 0.45 * 0.02 + 480 * 0.0006 + 2.2
    assert said.basis == "a short test of this machine"
    assert said.seconds_low is not None
    assert said.seconds_high is not None
    assert (said.seconds_low + said.seconds_high) / 2 == pytest.approx(middle)
    assert said.seconds_high / middle < 1.34


def heartbeat(database: Database, device: str, other_threads: float) -> None:
    """A worker that has just reported what other programs do on its four processors."""
    with database.write() as session:
        worker = Worker(device, "host", device)
        Ledger(session).heartbeat(worker, [JobKind.TRAIN], None, "1", MachineState(None, 4, other_threads))


@pytest.mark.parametrize(
    ("other_threads", "seconds", "basis"),
    [
        (0.4, 5.5 + 0.4 + 1.2 + 1.8 + 0.288 + 2.2, "a short test of this machine"),
        (
            # Pictures and features take 1.5 times as long; what uses one processor finds a free one.
            2.0,
            5.5 + 1.5 * (0.4 + 1.8) + 1.2 + 0.288 + 2.2,
            "a short test of this machine; other programs use the processors, which makes it about 1.5 times as long",
        ),
        (
            7.0,
            2 * (5.5 + 1.2 + 0.288 + 2.2) + 2.75 * (0.4 + 1.8),
            "a short test of this machine; other programs use the processors, which makes it about 2.8 times as long",
        ),
    ],
)
def test_other_programs_on_the_machine_make_a_training_longer(
    database: Database, other_threads: float, seconds: float, basis: str
) -> None:
    keep(database, "cpu: a", TESTED)
    heartbeat(database, "cpu:a", other_threads)

    with database.read() as session:
        forecaster = Forecaster(session, COUNTS)
        said, forecast = forecaster.forecast(CONFIG), forecaster.seconds(CONFIG)

    assert forecast == pytest.approx(seconds)
    assert said.basis == basis


def test_where_nothing_was_measured_it_is_planned_as_for_a_quick_processor(database: Database) -> None:
    with database.read() as session:
        forecaster = Forecaster(session, {"a digit": {"train": 1438, "valid": 359}})
        said = forecaster.forecast(CONFIG)
        planned = within_time(resolve(TrainingRequest()), 10, 1438, forecaster.seconds)

    assert (said.seconds_low, said.basis) == (None, "unknown, first run")
    assert [(stage.epochs, stage.image_size) for stage in planned.stages] == [(10, None), (21, 128)]


def test_at_the_least_a_training_takes_until_a_stage_that_helps_too_little_is_given_up() -> None:
    stages = resolve(TrainingRequest()).stages
    epochs = stages[1].epochs
    items = [WorkItem(Work.MOVE, 1, 128, 1, epoch) for epoch in range(epochs)]
    found = Timetable(tuple(Estimate(item, 1.0, Source.TEST) for item in items), stages)

    assert (epochs, stages[1].stop_if_worse) == (50, True)
    assert found.range() == pytest.approx((17 * 0.7, 50 * 1.3))


def test_a_graphics_card_is_not_slowed_by_programs_on_the_processors(database: Database) -> None:
    heartbeat(database, "cuda:0", 8.0)

    with database.read() as session:
        assert Forecaster(session, COUNTS).load("cuda") == QUIET


def test_runs_of_this_network_count_before_a_test(database: Database) -> None:
    keep(database, "cpu: a", [*TESTED, *[Speed(Work.MOVE, NET, 224, 100, 50, str(run)) for run in range(3)]])
    moves = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=1),)))

    with database.read() as session:
        said = Forecaster(session, COUNTS).forecast(moves)

    assert said.basis == "3 earlier runs of this model here"


def test_the_machine_that_worked_last_counts_and_only_such_a_device(database: Database) -> None:
    keep(database, "cpu: old", [Speed(Work.READ, None, 224, 1, 9.0)])
    keep(database, "cpu: new", [Speed(Work.READ, None, 224, 1, 1.0)])
    keep(database, "cuda: card", [Speed(Work.READ, None, 224, 1, 5.0)])

    with database.read() as session:
        speeds = Speeds(session)

        assert [speed.seconds for speed in speeds.latest("cpu")] == [1.0]
        assert [speed.seconds for speed in speeds.latest("cuda")] == [5.0]


def test_features_of_an_earlier_run_on_the_same_pictures_cost_nothing(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)
    version_id = scene.version()
    finish_run(scene, version_id, TrainingRequest(stages=(StageRequest(freeze=True, epochs=5, views=2),)))

    assert Work.FEATURES not in works(scene.database, version_id, CONFIG.model_copy())
    other_seed = CONFIG.model_copy(update={"seed": 7})
    assert Work.FEATURES in works(scene.database, version_id, other_seed)
    more_views = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=5, views=4),)))
    assert Work.FEATURES in works(scene.database, version_id, more_views)


def test_features_are_computed_anew_where_the_network_has_moved_in_between(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)
    version_id = scene.version()
    stages = (StageRequest(freeze=False, epochs=1), StageRequest(freeze=True, epochs=3, views=1))
    finish_run(scene, version_id, TrainingRequest(stages=stages))

    assert Work.FEATURES in works(scene.database, version_id, CONFIG)


def test_a_run_keeps_what_was_said_of_it(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)

    run_id = scene.run()

    with scene.database.read() as session:
        run = RunRepository(session).find(RunId(run_id))
        assert run is not None
        assert run.forecast is not None
        assert run.forecast["basis"] == "a short test of this machine"
        assert run.forecast["seconds_low"] < run.forecast["seconds_high"]


def test_a_device_that_was_asked_for_is_the_likely_one(database: Database) -> None:
    with database.read() as session:
        forecaster = Forecaster(session, COUNTS)

        assert [forecaster.device(wanted) for wanted in DeviceWanted] == ["cpu", "cpu", "cuda"]


def works(database: Database, version_id: str, config: TrainingConfig) -> set[Work]:
    """Kinds of work of a training."""
    with database.read() as session:
        found = timetable(session, config, COUNTS, version_id=version_id)
    assert found is not None
    return {item.work for item, _ in found.items}


def finish_run(scene: Scene, version_id: VersionId, request: TrainingRequest) -> None:
    """A run that has come to its end."""
    with unit_of_work(scene.database, NoNotifier()) as unit:
        start(unit, RunOrder(version_id, request), Path("/nowhere"))
    scene.finish(scene.claim())


def test_a_training_whose_features_are_on_disk_is_said_to_be_prepared(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)
    version_id = scene.version()
    finish_run(scene, version_id, TrainingRequest(stages=(StageRequest(freeze=True, epochs=5, views=1),)))

    with scene.database.read() as session:
        forecaster = Forecaster(session, COUNTS, version_id)
        small = CONFIG.model_copy(update={"image_size": 160})

        assert [forecaster.forecast(config).is_prepared for config in (CONFIG, small)] == [True, False]
        assert not forecaster.forecast(CONFIG, is_fresh=False).is_prepared


PLAIN = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=3),)))


def test_pictures_that_were_examined_are_prepared_for_the_default_network(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)
    version_id = scene.version()
    with unit_of_work(scene.database, NoNotifier()) as unit:
        dataset_id = unit.session.get_one(VersionRow, version_id).dataset_id
        job_id = unit.enqueue(JobKind.EXAMINE, dataset_id)
        unit.session.add(ExaminationRow(dataset_id=dataset_id, job_id=job_id, images_done=3, images_total=4))
    assert _is_prepared(scene, version_id) == [False, False, False]

    with scene.database.write() as session:
        row = session.get_one(ExaminationRow, dataset_id)
        row.images_done, row.features = 4, "answers-1"

    # At another size, and with random views, its features are others.
    assert _is_prepared(scene, version_id) == [True, False, False]


def test_a_training_on_the_plain_view_prepares_for_every_seed(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)
    version_id = scene.version()

    finish_run(scene, version_id, TrainingRequest(seed=7, stages=(StageRequest(freeze=True, epochs=5),)))

    assert _is_prepared(scene, version_id) == [True, False, False]


def _is_prepared(scene: Scene, version_id: VersionId) -> list[bool]:
    configs = (PLAIN, PLAIN.model_copy(update={"image_size": 160}), CONFIG)
    with scene.database.read() as session:
        forecaster = Forecaster(session, COUNTS, version_id)
        return [forecaster.forecast(config).is_prepared for config in configs]


def test_a_search_leaves_out_epochs_answers_and_the_export(scene: Scene) -> None:
    keep(scene.database, "cpu: a", TESTED)
    moves = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=3, max_lr="find"),)))

    with scene.database.read() as session:
        found = Forecaster(session, COUNTS).search(moves)

    assert found is not None
    # 100 steps of 32 pictures at 0.25 s each.
    assert [(one.item.work.value, round(one.seconds, 1)) for one in found.estimates] == [
        ("start", 5.5),
        ("read", 0.4),
        ("move", 800.0),
    ]
