"""What a run got right and wrong, asked by program."""

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import RunId
from tests.backend.interpretation.conftest import ONE_PAIR, SIX_PAIRS, TriedRun, answer_with
from tests.fixtures.statements import statements_of


def test_evaluation_gives_the_figures_with_their_interval(client: TestClient, tried_run: TriedRun) -> None:
    answer = client.get(f"/api/v1/runs/{tried_run.run_id}/evaluation")

    assert answer.status_code == 200
    body = answer.json()
    assert body["accuracy"] == 0.5
    assert body["error_rate"] == 0.5
    assert body["error_rate_interval"] == pytest.approx([0.187616, 0.812384], abs=1e-6)
    assert body["loss"] == pytest.approx(1.262539, abs=1e-6)
    assert body["images"] == 6
    owl = body["per_class"][2]
    assert (owl["class"], owl["precision"], owl["recall"], owl["f1"], owl["images"]) == ("owl", None, 0.0, 0.0, 1)
    # Wilson's interval of 0 of 1.
    assert owl["precision_interval"] is None
    assert owl["recall_interval"] == pytest.approx([0, 0.7935], abs=1e-4)
    assert owl["f1_interval"] == pytest.approx([0, 0.8848], abs=1e-4)


def test_confusion_matrix_has_rows_of_actual_classes(client: TestClient, tried_run: TriedRun) -> None:
    answer = client.get(f"/api/v1/runs/{tried_run.run_id}/confusion-matrix")

    assert answer.json() == {"classes": ["cat", "dog", "owl"], "matrix": [[1, 2, 0], [0, 2, 0], [1, 0, 0]]}


def test_most_confused_leaves_out_single_cases_unless_asked_for(client: TestClient, tried_run: TriedRun) -> None:
    usual = client.get(f"/api/v1/runs/{tried_run.run_id}/most-confused").json()["items"]
    all_pairs = client.get(f"/api/v1/runs/{tried_run.run_id}/most-confused?min_count=1").json()["items"]

    assert [(pair["actual"], pair["predicted"], pair["count"]) for pair in usual] == [("cat", "dog", 2)]
    assert (all_pairs[1]["actual"], all_pairs[1]["predicted"], all_pairs[1]["count"]) == ("owl", "cat", 1)


def test_most_confused_names_images_of_both_directions_worst_first(client: TestClient, mixed_up_run: TriedRun) -> None:
    items = client.get(f"/api/v1/runs/{mixed_up_run.run_id}/most-confused?min_count=2").json()["items"]

    images = mixed_up_run.images
    assert items == [
        {
            "actual": "cat",
            "predicted": "dog",
            "count": 3,
            "image_ids": [images[2], images[0], images[1]],
            "reverse_count": 1,
            "reverse_image_ids": [images[3]],
        }
    ]


def test_most_confused_takes_as_many_statements_for_many_pairs_as_for_one(
    client: TestClient, database: Database, tried_run: TriedRun
) -> None:
    address = f"/api/v1/runs/{tried_run.run_id}/most-confused?min_count=1"
    answer_with(database, tried_run, ONE_PAIR)
    with statements_of(database) as for_one:
        assert len(client.get(address).json()["items"]) == 1
    answer_with(database, tried_run, SIX_PAIRS)

    with statements_of(database) as for_six:
        assert len(client.get(address).json()["items"]) == 6

    assert len(for_six) == len(for_one)


def test_top_losses_have_every_field_of_the_contract(client: TestClient, tried_run: TriedRun) -> None:
    (worst,) = client.get(f"/api/v1/runs/{tried_run.run_id}/top-losses?k=1").json()["items"]

    assert worst["image_id"] == tried_run.images[5]
    assert (worst["path"], worst["actual"], worst["predicted"]) == ("animals/5.png", "owl", "cat")
    assert worst["loss"] == pytest.approx(2.995732, abs=1e-5)
    assert worst["probability_actual"] == pytest.approx(0.05)
    assert worst["probability_predicted"] == pytest.approx(0.9)
    assert worst["image_url"].startswith(f"/api/v1/images/{tried_run.images[5]}/file")
    assert worst["heatmap_url"] == (
        f"/api/v1/runs/{tried_run.run_id}/images/{tried_run.images[5]}/heatmap?checkpoint={tried_run.checkpoint_id}"
    )


def test_images_of_a_cell_are_paged_by_cursor(client: TestClient, tried_run: TriedRun) -> None:
    address = f"/api/v1/runs/{tried_run.run_id}/images?actual=cat&predicted=dog&limit=1"
    first = client.get(address).json()
    second = client.get(f"{address}&after={first['next']}").json()

    assert [item["image_id"] for item in first["items"] + second["items"]] == [
        tried_run.images[2],
        tried_run.images[1],
    ]
    assert second["next"] is None


def test_a_run_without_a_finished_stage_is_a_conflict_in_words(client: TestClient, untried_run: RunId) -> None:
    for name in ("evaluation", "confusion-matrix", "most-confused", "top-losses", "images"):
        answer = client.get(f"/api/v1/runs/{untried_run}/{name}")

        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "no-results-yet"


def test_an_unknown_run_is_not_found(client: TestClient) -> None:
    answer = client.get("/api/v1/runs/nothing/evaluation")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "run-not-found"


def test_an_unknown_checkpoint_is_not_found(client: TestClient, tried_run: TriedRun) -> None:
    answer = client.get(f"/api/v1/runs/{tried_run.run_id}/evaluation?checkpoint=nothing")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "checkpoint-not-found"


def test_nobody_without_a_key_sees_results(anonymous: TestClient, tried_run: TriedRun) -> None:
    assert anonymous.get(f"/api/v1/runs/{tried_run.run_id}/evaluation").status_code == 401
