"""What would help a run most, by REST and on its overview."""

import pytest
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.json import Json
from backend.interpretation.advice.service import ADVICE
from backend.interpretation.suspects.service import SUSPECTS
from backend.training.confidence.chosen import keep_settings
from tests.backend.interpretation.labelled import MISLABELLED, Shapes, trained_shapes

PAGE = {"Accept": "text/html"}


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    return trained_shapes(client, services)


def advice(shapes: Shapes) -> Json:
    """Once nothing is being computed any more."""
    path = f"/runs/{shapes.run_id}/advice"
    for computed in (SUSPECTS, ADVICE):
        shapes.get(path)
        computed.wait_for_all()
    return shapes.get(path)


def lines(found: Json, kind: str) -> list[Json]:
    return [item for item in found["items"] if item["kind"] == kind]


def test_each_line_has_words_an_effect_and_a_way(shapes: Shapes) -> None:
    found = advice(shapes)

    assert (found["status"], found["errors"]) == ("ready", 2)
    assert all(item["message"] and item["effect"] and item["url"].startswith("/") for item in found["items"])
    for item in found["items"]:
        assert shapes.client.get(item["url"], headers=PAGE).status_code == 200, item


def test_suspicious_labels_lead_to_the_sprint_and_go_with_their_decision(shapes: Shapes) -> None:
    [line] = lines(advice(shapes), "suspects")
    assert line["message"] == "Fixing the 1 suspicious label"
    assert line["url"] == f"/runs/{shapes.run_id}/fix"

    shapes.change(MISLABELLED, "square")

    assert lines(advice(shapes), "suspects") == []


def test_small_pictures_and_a_missing_class_are_named(shapes: Shapes) -> None:
    found = advice(shapes)

    assert [line["effect"] for line in lines(found, "no_none_class")] == ["not tested: 0 such pictures"]
    # All of them are small, so nothing can be compared.
    assert lines(found, "tiny") == []


def test_nothing_is_said_of_a_missing_class_where_unknown_pictures_are_refused(
    shapes: Shapes, services: Services
) -> None:
    with services.database.write() as session:
        for model in shapes.get(f"/runs/{shapes.run_id}")["checkpoints"]:
            keep_settings(session, model["id"], ConfidenceSettings(familiar_refused=0.05, strangeness_limit=0.2), None)

    assert lines(advice(shapes), "no_none_class") == []


def test_a_linear_model_that_errs_nowhere_promises_nothing(shapes: Shapes) -> None:
    found = advice(shapes)

    assert found["linear_errors"] <= 1
    assert [line["effect"] for line in lines(found, "more_pictures")] == ["can't tell", "can't tell"]


def test_without_features_it_says_what_the_answers_say(client: TestClient, services: Services) -> None:
    shapes = trained_shapes(client, services, is_examined=False)

    found = advice(shapes)

    assert (found["status"], found["linear_errors"]) == ("ready", None)
    assert lines(found, "more_pictures") == []


def test_the_overview_fetches_it_as_a_part(shapes: Shapes) -> None:
    advice(shapes)

    overview = shapes.client.get(f"/runs/{shapes.run_id}/understand", headers=PAGE).text
    part = shapes.client.get(f"/runs/{shapes.run_id}/understand/advice", headers=PAGE).text

    assert f'data-advice-url="/runs/{shapes.run_id}/understand/advice"' in overview
    assert "Fixing the 1 suspicious label" in part
    assert "data-more" not in part


def test_a_run_without_results_has_none(shapes: Shapes) -> None:
    waiting = shapes.past.order("waiting")

    assert shapes.get(f"/runs/{waiting}/advice", 409)["error"]["code"] == "no-results-yet"
