import json
import sys
from pathlib import Path

import pytest

from backend.domain.json import Json
from backend.domain.training import resolve
from benchmarks.parts import PARTS, in_turn
from benchmarks.processes import CantMeasure, require_fastai
from benchmarks.summary import Run
from benchmarks.training import Results, main
from tests.benchmarks.test_summary import run

SETTINGS = {"data": "pets", "pattern": None}
FROZEN = PARTS["frozen"]


def measured(contender: str, seed: int = 1) -> Run:
    return run(contender, 3.0, seed=seed).model_copy(update={"settings": FROZEN.settings(contender)})


def opened(file: Path, *, afresh: bool = False, **settings: Json) -> Results:
    return Results.open(file, {**SETTINGS, **settings}, afresh=afresh)


def test_every_finished_run_is_in_the_file(tmp_path: Path) -> None:
    results = opened(tmp_path / "out.json")

    results.add(FROZEN, "imagenet", measured("ours"))

    content = json.loads((tmp_path / "out.json").read_text())
    assert list(content) == ["memory", "machine", "settings", "frozen"]
    assert content["frozen"]["seconds_ours"] == 3.0
    assert content["memory"] == {"ours": 2_000_000_000}


def test_a_second_call_continues_where_the_first_ended(tmp_path: Path) -> None:
    opened(tmp_path / "out.json").add(FROZEN, "imagenet", measured("fastai"))

    again = opened(tmp_path / "out.json")

    assert again.has(FROZEN, "fastai", 1)
    assert not again.has(FROZEN, "fastai", 2)
    assert not again.has(FROZEN, "fastai_best", 1)
    assert not again.has(PARTS["lesson"], "fastai", 1)


def test_ours_counts_only_with_its_repetition(tmp_path: Path) -> None:
    results = opened(tmp_path / "out.json")

    results.add(FROZEN, "imagenet", measured("ours"))
    assert not results.has(FROZEN, "ours", 1)

    results.add(FROZEN, "imagenet", measured("ours_again"))
    assert results.has(FROZEN, "ours", 1)


def test_a_run_under_other_numbers_is_measured_again(tmp_path: Path) -> None:
    results = opened(tmp_path / "out.json")
    results.add(FROZEN, "imagenet", measured("fastai").model_copy(update={"settings": "of before"}))

    assert not results.has(FROZEN, "fastai", 1)


def test_forgetting_one_side_keeps_the_other(tmp_path: Path) -> None:
    results = opened(tmp_path / "out.json")
    for contender in ("ours", "ours_again", "fastai"):
        results.add(FROZEN, "imagenet", measured(contender))

    results.forget("ours")

    assert not results.has(FROZEN, "ours", 1)
    assert results.has(FROZEN, "fastai", 1)


def test_other_pictures_need_another_file_or_a_fresh_start(tmp_path: Path) -> None:
    opened(tmp_path / "out.json").add(FROZEN, "imagenet", measured("fastai"))

    with pytest.raises(CantMeasure, match="--afresh"):
        opened(tmp_path / "out.json", data="fruit")
    assert not opened(tmp_path / "out.json", data="fruit", afresh=True).has(FROZEN, "fastai", 1)


def test_every_other_round_goes_the_other_way() -> None:
    assert [in_turn(("ours", "fastai"), number)[0] for number in range(3)] == ["ours", "fastai", "ours"]


@pytest.mark.parametrize("name", PARTS)
def test_both_sides_train_as_many_epochs_and_images_a_step(name: str) -> None:
    part = PARTS[name]

    ours, theirs = resolve(part.our_request(7)), part.fastai_job(7)

    assert [stage.epochs for stage in ours.stages] == [stage["epochs"] for stage in theirs["stages"]]
    assert [stage.freeze for stage in ours.stages] == [stage["freeze"] for stage in theirs["stages"]]
    assert (ours.batch_size, ours.seed, ours.image_size) == (64, 7, 224)
    assert (theirs["batch_size"], theirs["seed"], theirs["image_size"]) == (64, 7, 224)


def test_without_fastai_it_shows_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--data", str(tmp_path), "--json", str(tmp_path / "out.json"), "--fastai-python", sys.executable])

    assert code == 2
    assert "install fastai" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_an_interpreter_that_is_none_is_said_so() -> None:
    with pytest.raises(CantMeasure, match="can't be started"):
        require_fastai("/nowhere/python")
