import pytest

from benchmarks.summary import summarise
from benchmarks.table import BEGIN, END, Results, draw, put
from tests.benchmarks.test_summary import run


def results(weights: str = "imagenet") -> Results:
    runs = [run("ours", 10, 0.1), run("ours_again", 5, 0.1), run("fastai", 500, 0.25), run("fastai_best", 200, 0.125)]
    machine = {
        "processor": "A processor",
        "cores": 2,
        "memory": 24 * 2**30,
        "load_before": 0.1,
        "load_after": 1.9,
        "versions": {"python": "3.11.7", "torch": "2.14.1", "fastai": "2.8.12"},
    }
    settings = {"data": "pets", "images": 740, "classes": 37, "fastai_workers": 0}
    return {"frozen": summarise(runs, epochs=4, weights=weights), "machine": machine, "settings": settings}


def test_a_row_has_time_ratio_pace_memory_and_error() -> None:
    lines = draw(results()).splitlines()

    assert lines[2].startswith("| **Frozen stage**")
    assert lines[3] == "| ours | 10.0 s | 1.0 | 40.0 | 2.00 GB | 10.0% | 30.0% |"
    assert lines[5] == "| fastai, default settings | 500.0 s | 50.0 | 0.8 | 2.00 GB | 25.0% | 30.0% |"
    assert [len(line.split("|")) for line in lines[:7]] == [9] * 7


def test_the_table_shows_when_only_speed_counts() -> None:
    lines = draw(results("random")).splitlines()

    assert "only the speed can be compared" in lines[2]
    assert lines[3] == "| ours | 10.0 s | 1.0 | 40.0 | 2.00 GB |  |  |"


def test_it_shows_where_and_with_what_it_was_measured() -> None:
    drawn = draw(results())

    assert "A processor, 2 cores, 24 GiB, Python 3.11.7, torch 2.14.1, fastai 2.8.12" in drawn
    assert "740 images of 37 classes, 100 for training and 20 for validation; seeds 1" in drawn


def test_only_what_lies_between_the_marks_is_replaced() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter by hand\n"

    assert put(document, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter by hand\n"


def test_a_document_without_marks_is_not_touched() -> None:
    with pytest.raises(ValueError, match="figures: begin"):
        put("nothing here", "new")
