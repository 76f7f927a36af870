from backend.domain.training import StageRequest, TrainingRequest
from benchmarks.sides import ours
from benchmarks.variants_table import draw
from tests.benchmarks.test_sides import epoch, measured

MACHINE = {"processor": "A processor", "cores": 2, "memory": 8 << 30, "versions": {"python": "3.11.7"}}
SHORT, LONG = ours(
    {name: TrainingRequest(stages=(StageRequest(epochs=epochs),)) for name, epochs in (("short", 1), ("long", 9))}
)[1:]


def test_variants_are_compared_on_the_seeds_that_all_have() -> None:
    runs = [
        measured(SHORT, epoch(0.2)).model_copy(update={"seed": 1, "test_error_rate": 0.2, "processor_seconds": 4.0}),
        measured(SHORT, epoch(0.2)).model_copy(update={"seed": 2, "test_error_rate": 0.3, "processor_seconds": 4.0}),
        measured(SHORT, epoch(0.2)).model_copy(update={"seed": 3, "test_error_rate": 0.9, "processor_seconds": 4.0}),
        measured(LONG, epoch(0.2)).model_copy(update={"seed": 1, "test_error_rate": 0.1, "processor_seconds": 9.0}),
        measured(LONG, epoch(0.2)).model_copy(update={"seed": 2, "test_error_rate": 0.1, "processor_seconds": 9.0}),
    ]

    lines = draw({"machine": MACHINE, "runs": [run.model_dump(mode="json") for run in runs]}).splitlines()

    assert lines[:4] == [
        "| | signs | seconds |",
        "|---|---|---|",
        "| long | 10.0% (± 0.0) | 9 |",
        "| short | 25.0% (± 5.0) | 4 |",
    ]
    assert "number of seeds: signs 2." in lines[5]


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw({"machine": MACHINE, "runs": []}) == "Nothing has been measured yet."
