"""The fix sprint: its pictures, and the decisions that are made without scripts."""

import html
import json
import re
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.ids import RunId
from backend.domain.json import Json
from tests.backend.interpretation.labelled import MISLABELLED, Shapes, trained_shapes


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    shapes = trained_shapes(client, services)
    shapes.suspects()
    return shapes


def page_of(shapes: Shapes, **query: str) -> str:
    answer = shapes.client.get(f"/runs/{shapes.run_id}/fix?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def first_of(text: str) -> list[Json]:
    """The pictures that the page begins with."""
    found = re.search(r"data-first='(.*?)' data-classes", text)
    pictures: list[Json] = json.loads(found[1])["items"] if found else []
    return pictures


def decide(shapes: Shapes, path: str, before: str, **fields: str) -> str:
    form = {"image_id": shapes.ids[path], "before": before, "from": "suspects", **fields}
    answer = shapes.client.post(f"/runs/{shapes.run_id}/fix", data=form)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def test_it_begins_with_the_suspects_and_says_why(shapes: Shapes) -> None:
    text = page_of(shapes)

    (picture,) = first_of(text)
    assert (picture["path"], picture["label"]) == (MISLABELLED, "circle")
    assert picture["choices"][0] == "square"
    assert "10 of the 10 most similar pictures have that label" in picture["why"]
    assert "<strong data-label>circle</strong>" in text


def test_the_largest_losses_come_with_what_the_model_predicted(shapes: Shapes) -> None:
    pictures = first_of(page_of(shapes, **{"from": "top-losses"}))

    assert len(pictures) == 9
    assert "with 90 % confidence, loss" in pictures[0]["why"]
    assert {picture["split"] for picture in pictures} == {"valid"}
    assert pictures[0]["label"] not in pictures[0]["choices"]


def test_a_cell_has_only_its_own_pictures(shapes: Shapes) -> None:
    (confused, *_) = shapes.get(f"/runs/{shapes.run_id}/most-confused?min_count=1")["items"]

    pictures = first_of(
        page_of(shapes, **{"from": "cell", "actual": confused["actual"], "predicted": confused["predicted"]})
    )

    assert len(pictures) == confused["count"]
    assert {picture["label"] for picture in pictures} == {confused["actual"]}
    assert {picture["choices"][0] for picture in pictures} == {confused["predicted"]}


def test_a_class_has_only_pictures_with_its_label(shapes: Shapes) -> None:
    pictures = first_of(page_of(shapes, **{"from": "class", "class": "cross"}))

    assert {picture["label"] for picture in pictures} == {"cross"}


def test_a_source_that_does_not_exist_is_refused_in_words(shapes: Shapes) -> None:
    assert shapes.client.get(f"/runs/{shapes.run_id}/fix?from=nowhere").status_code == 422


def test_a_proposed_class_is_taken_and_the_ledger_knows_where_and_why(shapes: Shapes) -> None:
    text = decide(shapes, MISLABELLED, "circle", label="square")

    assert "“a square.png” is now “square”." in text
    assert "No label looks wrong any more" in text
    assert "1 change since this run." in text
    (entry,) = shapes.get(f"/datasets/{shapes.dataset_id}/labels/changes")["items"]
    assert (entry["after"], entry["reason"], entry["run_id"]) == ("square", "fix: suspects", shapes.run_id)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "right"}, "“a square.png” is confirmed as “circle”."),
        ({"action": "drop"}, "“a square.png” is left out."),
        ({"new": "rhombus"}, "“a square.png” is now “rhombus”."),
    ],
    ids=["right", "left out", "another class"],
)
def test_every_decision_is_remembered(shapes: Shapes, fields: dict[str, str], words: str) -> None:
    text = decide(shapes, MISLABELLED, "circle", **fields)

    assert words in text
    assert first_of(text) == []


def test_a_label_that_somebody_else_has_changed_is_kept_and_said(shapes: Shapes) -> None:
    shapes.change(MISLABELLED, "cross")

    text = decide(shapes, MISLABELLED, "circle", label="square")

    assert "changed this picture to “cross” in the meantime" in text


def test_it_says_how_many_of_those_looked_at_were_wrong(shapes: Shapes) -> None:
    shapes.change("shapes/cross/1.png", "cross")
    shapes.change("shapes/cross/2.png", "square")
    shapes.change("shapes/cross/3.png", "cross", reason="fix: top-losses")

    text = page_of(shapes)

    assert "1 of the 2 looked at was wrong" in text
    assert re.search(r"<p data-enough hidden>", text)


def test_after_twenty_with_hardly_a_wrong_one_it_is_time_to_stop(shapes: Shapes) -> None:
    right = [path for path in shapes.ids if path != MISLABELLED][:20]
    for path in right:
        shapes.change(path, path.split("/")[1])

    assert re.search(r"<p data-enough><b>Of the last 20 looked at, at most 1 was wrong", page_of(shapes))


def test_a_run_without_results_says_so(client: TestClient, untried_run: RunId) -> None:
    answer = client.get(f"/runs/{untried_run}/fix")

    assert answer.status_code == 200
    assert "No results yet" in answer.text


def test_an_unknown_run_is_not_found(client: TestClient) -> None:
    assert client.get("/runs/nothing/fix").status_code == 404


def test_the_pages_of_results_lead_to_it(shapes: Shapes) -> None:
    assert f'href="/runs/{shapes.run_id}/fix"' in shapes.client.get(f"/runs/{shapes.run_id}/understand").text
    losses = html.unescape(shapes.client.get(f"/runs/{shapes.run_id}/understand/top-losses").text)
    assert f'href="/runs/{shapes.run_id}/fix?from=top-losses"' in losses
