import json
import sys
from pathlib import Path

import pytest

from backend.domain.json import Json
from backend.domain.training import Recipe, StageRequest, TrainingRequest
from benchmarks.processes import CantMeasure
from benchmarks.sets import DIGITS, PictureSet, prepare
from benchmarks.sides import GridPoint, Planned, Side, fine_tune, lesson, ours
from benchmarks.suite import Results, _parse, is_wanted, main
from tests.benchmarks.test_sides import epoch, measured

RECOMMENDED = ours({})[0]
VARIANT = ours({"short": TrainingRequest(stages=(StageRequest(epochs=3),))})[1]


def test_every_finished_run_is_a_line_of_the_file(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "out.json")

    results.add(measured(RECOMMENDED, epoch(0.2)))
    results.add(measured(lesson(), epoch(0.3)))

    text = (tmp_path / "out.json").read_text()
    assert [run["side"] for run in json.loads(text)["runs"]] == ["ours", "fastai lesson"]
    assert sum(line.startswith('{"set":"signs"') for line in text.splitlines()) == 2


def test_a_second_call_continues_where_the_first_ended(tmp_path: Path) -> None:
    Results.open(tmp_path / "out.json").add(measured(RECOMMENDED, epoch(0.2)))

    again = Results.open(tmp_path / "out.json")

    assert again.has(Planned("signs", 1, RECOMMENDED))
    assert not again.has(Planned("signs", 2, RECOMMENDED))
    assert not again.has(Planned("pets", 1, RECOMMENDED))
    assert not again.has(Planned("signs", 1, fine_tune(GridPoint(5, 2e-3))))


def test_a_run_under_other_numbers_is_measured_again_and_replaced(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "out.json")
    results.add(measured(RECOMMENDED, epoch(0.2)).model_copy(update={"settings": "of before"}))
    assert not results.has(Planned("signs", 1, RECOMMENDED))

    results.add(measured(RECOMMENDED, epoch(0.1)))

    assert [run.error_rate for run in Results.open(tmp_path / "out.json").runs] == [0.1]


def test_a_variant_with_the_numbers_of_another_side_is_not_measured_twice(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "out.json")
    results.add(measured(RECOMMENDED, epoch(0.2)))
    same = ours({"today": TrainingRequest(recipe=Recipe.RECOMMENDED)})[1]

    equal = results.equal_run(Planned("signs", 1, same))

    assert equal is not None
    assert (equal.side, equal.error_rate) == ("ours: today", 0.2)
    assert results.equal_run(Planned("signs", 1, VARIANT)) is None
    assert results.equal_run(Planned("signs", 2, same)) is None


@pytest.mark.parametrize(
    ("forgotten", "kept"),
    [
        ("ours", ["fastai lesson", "fastai fine_tune, 5 epochs, base_lr 0.002"]),
        ("ours: short", ["ours", "fastai lesson", "fastai fine_tune, 5 epochs, base_lr 0.002"]),
        ("fastai fine_tune", ["ours", "ours: short", "fastai lesson"]),
    ],
)
def test_one_side_is_measured_anew_and_the_others_stay(tmp_path: Path, forgotten: str, kept: list[str]) -> None:
    results = Results.open(tmp_path / "out.json")
    sides: list[Side] = [RECOMMENDED, VARIANT, lesson(), fine_tune(GridPoint(5, 2e-3))]
    for side in sides:
        results.add(measured(side, epoch(0.2)))

    results.forget(forgotten)

    assert [run.side for run in results.runs] == kept


def digits(tmp_path: Path, size: int | None = None) -> PictureSet:
    return prepare(DIGITS, tmp_path / "cache", size=size)


def test_a_set_with_other_pictures_needs_another_file(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    results = Results.open(tmp_path / "out.json")
    results.note_sets([digits(tmp_path)])
    results.add(measured(RECOMMENDED, epoch(0.2)))

    again = Results.open(tmp_path / "out.json")
    again.note_sets([digits(tmp_path)])
    with pytest.raises(CantMeasure, match="digits with other pictures"):
        again.note_sets([digits(tmp_path, size=100)])


def test_versions_of_fastai_stay_when_ours_alone_is_measured(tmp_path: Path) -> None:
    results = Results.open(tmp_path / "out.json")
    results.note_versions({"torch": "2.14.0", "fastai": "2.8.12"})
    results.note_versions({"torch": "2.14.1"})
    results.add(measured(RECOMMENDED, epoch(0.2)))

    content = json.loads((tmp_path / "out.json").read_text())
    assert content["machine"]["versions"] == {"torch": "2.14.1", "fastai": "2.8.12"}


def test_the_machine_is_tested_once_for_a_file_and_anew_when_asked(tmp_path: Path) -> None:
    speed = {"work": "read", "architecture": None, "size": 224, "amount": 24, "seconds": 0.3}
    tests = []

    def test() -> list[dict[str, Json]]:
        tests.append(speed)
        return [speed]

    first = Results.open(tmp_path / "out.json").speeds(test)
    again = Results.open(tmp_path / "out.json")
    assert (again.speeds(test), len(tests)) == (first, 1)

    again.forget("machine")
    again.speeds(test)
    assert len(tests) == 2


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(tmp_path / "nothing.zip"), "--json", str(tmp_path / "out.json"), "--ours-only"])

    assert code == 2
    assert "nothing.zip" in capsys.readouterr().err


def test_without_fastai_it_shows_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(tmp_path), "--json", str(tmp_path / "out.json"), "--fastai-python", sys.executable])

    assert code == 2
    assert "install fastai" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "measured_sides"),
    [
        ([], ["ours", "ours: short", "fastai lesson", "fastai fine_tune, 5 epochs, base_lr 0.002"]),
        (["--ours-only"], ["ours", "ours: short"]),
        (["--fastai-only"], ["fastai lesson", "fastai fine_tune, 5 epochs, base_lr 0.002"]),
        (["--sides", "ours: short"], ["ours: short"]),
        (
            ["--sides", "ours", "fastai fine_tune"],
            ["ours", "ours: short", "fastai fine_tune, 5 epochs, base_lr 0.002"],
        ),
    ],
)
def test_only_the_sides_that_are_asked_for_are_measured(options: list[str], measured_sides: list[str]) -> None:
    wanted = _parse(["pets", "--json", "out.json", *options])
    sides: list[Side] = [RECOMMENDED, VARIANT, lesson(), fine_tune(GridPoint(5, 2e-3))]

    assert [side.name for side in sides if is_wanted(side, wanted)] == measured_sides
