import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.domain.training import StageRequest, TrainingRequest, resolve
from backend.ledger.clock import database_now
from backend.tables.ledger import WorkerRow
from backend.training.forecast.forecast import Forecast, Forecaster, Timetable
from backend.training.forecast.sentences import (
    correction_words,
    device_sentence,
    forecast_sentences,
    memory_sentence,
    reading_sentence,
)
from backend.training.forecast.speeds import Estimate, Source
from backend.training.forecast.work import Work, WorkItem
from tests.backend.training.scene import Scene

GB = 1_000_000_000
UNKNOWN = Forecast(None, None, None, "unknown, first run")
MOVES = resolve(TrainingRequest(architecture="resnet50", batch_size=64, stages=(StageRequest(freeze=False),)))


@pytest.fixture
def version_id(database: Database) -> VersionId:
    return Scene(database).version()


def takes(low: float, high: float, memory: int | None = None) -> Forecast:
    """So many seconds."""
    return Forecast(low, high, memory, "a short test of this machine")


def test_without_a_graphics_card_it_reports_it_and_what_would_be_quicker() -> None:
    sentence = device_sentence("cpu", takes(2100, 2400), [("Recommended", takes(110, 130)), ("Other", UNKNOWN)])

    assert sentence == "Runs on the processor; there is no graphics card. “Recommended” takes 2–3 min."


@pytest.mark.parametrize("known", [takes(110, 130), UNKNOWN])
def test_without_anything_quicker_it_still_reports_it(known: Forecast) -> None:
    assert device_sentence("cpu", known, [("Recommended", known)]) == (
        "Runs on the processor; there is no graphics card."
    )


def test_a_graphics_card_is_named() -> None:
    assert device_sentence("cuda", UNKNOWN, [], "NVIDIA RTX 4070") == "Runs on the graphics card (NVIDIA RTX 4070)."


@pytest.mark.parametrize(
    ("needed", "total", "free", "sentence"),
    [
        (3.1, 8.0, 7.8, "Needs about 3.1 GB of memory; the graphics card has 7.8 GB free."),
        (12.0, 8.0, 7.8, "Needs about 12.0 GB of memory; the graphics card has only 8.0 GB."),
        (3.1, 8.0, 2.0, "Needs about 3.1 GB of memory; the graphics card has 2.0 GB free now. That is too little, "
         "so it works in smaller parts, more slowly."),
        (3.1, 8.0, None, "Needs about 3.1 GB of memory; the graphics card has 8.0 GB."),
        (3.1, None, None, "Needs about 3.1 GB of memory."),
        (0, 8.0, 7.8, ""),
    ],
)  # fmt: skip
def test_memory_in_words(needed: float, total: float | None, free: float | None, sentence: str) -> None:
    there = [None if size is None else round(size * GB) for size in (total, free)]

    assert memory_sentence("cuda", round(needed * GB), *there) == sentence


def of_class(images: int) -> dict[str, dict[str, int]]:
    """Counts of a version with so many pictures to learn from."""
    return {"cat": {"train": images, "valid": 10, "test": 0}}


def add_worker(database: Database, device: str, total: int) -> None:
    """A worker that has just said that it is alive."""
    with database.write() as session:
        session.add(
            WorkerRow(
                id=device,
                host="host",
                kinds="import,train",
                device=device,
                version="1",
                last_heartbeat_at=session.execute(database_now().select()).scalar_one(),
                memory_bytes=total,
                memory_free_bytes=total,
            )  # fmt: skip
        )


def test_half_the_batch_is_offered_where_the_memory_is_too_small(database: Database) -> None:
    add_worker(database, "cuda:0", 3 * GB)

    with database.read() as session:
        said = forecast_sentences(Forecaster(session, of_class(500)), MOVES, takes(60, 90, memory=4 * GB), [])

    assert (said.fits, said.half, said.memory) == (
        False,
        32,
        "Needs about 4.0 GB of memory; the graphics card has only 3.0 GB.",
    )


def test_half_of_so_few_images_is_offered_as_they_are_the_batch(database: Database) -> None:
    add_worker(database, "cuda:0", 3 * GB)

    with database.read() as session:
        said = forecast_sentences(Forecaster(session, of_class(40)), MOVES, takes(60, 90, memory=4 * GB), [])

    assert said.half == 20


def test_the_device_with_most_memory_counts(database: Database) -> None:
    add_worker(database, "cuda:0", 3 * GB)
    add_worker(database, "cuda:1", 24 * GB)

    with database.read() as session:
        said = forecast_sentences(Forecaster(session, of_class(500)), MOVES, takes(60, 90, memory=4 * GB), [])

    assert (said.fits, said.half) == (True, None)


@pytest.mark.parametrize(
    ("said", "elapsed", "left", "words"),
    [
        (takes(240, 360), 200, 330, "Slower than estimated: now about 9 min"),
        (takes(40, 60), 50, 150, "Slower than estimated: now about 4 min"),
        (takes(240, 360), 200, 100, ""),
        (takes(240, 360), 200, None, ""),
        (UNKNOWN, 200, 500, ""),
    ],
)
def test_a_run_shows_openly_that_it_is_slower_than_was_said(
    said: Forecast, elapsed: float, left: float | None, words: str
) -> None:
    assert correction_words(said, elapsed, left) == words


def test_the_train_page_is_never_silent_about_device_and_memory(client: TestClient, version_id: VersionId) -> None:
    page = client.get(f"/versions/{version_id}/train").text

    assert "Runs on the processor; there is no graphics card." in page
    assert "Needs about 2.3 GB of memory." in page


def test_one_press_takes_half_the_batch(client: TestClient, version_id: VersionId, database: Database) -> None:
    add_worker(database, "cpu:1", 2 * GB)
    form = {"recipe": "lesson-1", "architecture": "resnet50"}

    offered = client.post(f"/versions/{version_id}/train/forecast", data=form).text
    taken = client.post(f"/versions/{version_id}/train/forecast", data=form | {"do": "batch-32"}).text

    assert "Needs about 6.5 GB of memory; the computer has only 2.0 GB. Half the batch would fit." in offered
    assert "Use a batch size of 32" in offered
    assert "Use a batch size of 16" in taken


def estimate(work: Work, amount: float, seconds: float) -> Estimate:
    """What a work item of a training is thought to take."""
    return Estimate(WorkItem(work, amount, 224), seconds, Source.TEST)


def test_of_very_many_pictures_the_speed_of_reading_is_said() -> None:
    reading, showing = estimate(Work.READ, 100_000, 244), estimate(Work.FEATURES, 100_000, 100)

    assert reading_sentence(Timetable((reading, showing)), is_kept=False) == (
        "About 410 pictures are read a second, which limits the speed."
    )
    assert reading_sentence(Timetable((reading, estimate(Work.MOVE, 100_000, 900))), is_kept=False) == (
        "About 410 pictures are read a second."
    )
    assert "the next training of this kind reads none of them again" in reading_sentence(
        Timetable((reading,)), is_kept=True
    )
    assert reading_sentence(Timetable((showing,)), is_kept=False) == ""


def test_a_reason_is_given_where_one_is_known() -> None:
    said = correction_words(takes(240, 360), 200, 330, lambda: "memory ran short")

    assert said == "Slower than estimated: now about 9 min, because memory ran short"
