"""What changed between two runs, asked by program."""

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.json import Json
from backend.ledger.job import Failure
from tests.backend.training.compare.conftest import Pets, cats, new_pets


def paths(images: Json) -> list[str]:
    return sorted(item["path"] for item in images["items"])


def test_two_runs_are_compared_on_the_pictures_that_both_were_tried_on(pets: Pets) -> None:
    version = pets.freeze()
    before = pets.train(version, cats(0, 1, 2, 3, 4, 5, 6, 7))
    after = pets.train(version, cats(7, 8))

    found = pets.compare(before, after)

    assert (found["before"]["run_id"], found["after"]["run_id"]) == (before, after)
    assert (found["before"]["errors"], found["after"]["errors"], found["shared_images"]) == (8, 2, 20)
    assert (found["before"]["error_rate"], found["after"]["error_rate"]) == (0.4, 0.1)
    assert found["before"]["error_rate_interval"] == pytest.approx([0.218807, 0.613419], abs=1e-6)
    assert found["error_rate_difference"] == pytest.approx(-0.3)
    assert (found["now_right"], found["now_wrong"], found["still_wrong"], found["both_right"]) == (7, 1, 1, 11)
    # Exact binomial, two-sided: 8 flips, at most 1 of one kind.
    assert found["p_value"] == pytest.approx(0.0703125)
    assert found["verdict"] == "no measurable change"
    assert found["message"] == "6 fewer mistakes, which chance would explain (p = 0.07)."


def test_a_change_beyond_chance_is_better_in_one_direction_and_worse_in_the_other(pets: Pets) -> None:
    version = pets.freeze()
    bad, good = pets.train(version, cats(0, 1, 2, 3, 4, 5)), pets.train(version)

    forwards, backwards = pets.compare(bad, good), pets.compare(good, bad)

    assert (forwards["verdict"], backwards["verdict"]) == ("better", "worse")
    assert forwards["message"] == "6 fewer mistakes, more than chance would explain (p = 0.031)."
    assert backwards["message"] == "6 more mistakes, more than chance would explain (p = 0.031)."


def test_what_chance_alone_changes_is_counted_in_the_background_and_then_said(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0, 1, 2, 3)), pets.train(version, cats(3))

    asked = [pets.compare(before, after) for _ in range(2)]
    pets.count_chance({"valid/cat/0.png": ["dog", "cat", "cat"], "valid/dog/1.png": ["cat", "cat", "dog"]})
    known = pets.compare(before, after)

    assert [one["chance"] for one in asked] == [None, None]
    assert asked[0]["chance_unknown"].endswith("will be counted as soon as a worker is free.")
    assert known["chance_unknown"] is None
    assert known["chance"] == {
        "trainings": 3,
        "images": 20,
        "flips": [1, 2, 1],
        "lowest": 1,
        "median": 1.0,
        "highest": 2,
        "head_alone": False,
        "message": "Chance alone changes 1 to 2 answers of 20 here; 3 changed. More changed than by chance alone.",
    }


def test_chance_is_counted_on_the_labels_and_names_of_today(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version), pets.train(version)
    pets.compare(before, after)
    pets.count_chance({"valid/cat/0.png": ["cat", "dog", "dog"], "valid/cat/1.png": ["cat", "dog", "dog"]})
    pets.rename(["cat"], to="kitten")
    pets.relabel({"valid/cat/1.png": None})

    found = pets.compare(before, after)["chance"]

    assert (found["images"], found["flips"]) == (19, [1, 1, 0])


def test_why_chance_is_not_known_is_in_words(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version), pets.train(version)
    pets.compare(before, after)
    pets.fail_chance(Failure("features-gone", "The features of 900 pictures are gone.", "Train again."))

    found = pets.compare(before, after)

    assert found["chance"] is None
    assert found["chance_unknown"] == (
        "How many answers chance alone changes can't be said. The features of 900 pictures are gone. Train again."
    )


def test_each_class_is_compared_those_that_changed_most_first(pets: Pets) -> None:
    version = pets.freeze()
    before = pets.train(version, cats(0, 1, 2, 3))
    after = pets.train(version, {"valid/dog/0.png": "cat"})

    first, second = pets.compare(before, after)["per_class"]

    assert (first["class"], first["images"], first["now_right"], first["now_wrong"]) == ("cat", 10, 4, 0)
    assert (first["before"]["recall"], first["after"]["recall"]) == (0.6, 1.0)
    assert first["after"]["precision"] == pytest.approx(10 / 11)
    assert (second["class"], second["now_right"], second["now_wrong"]) == ("dog", 0, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("now-right", ["valid/cat/0.png", "valid/cat/1.png"]),
        ("now-wrong", ["valid/cat/3.png"]),
        ("still-wrong", ["valid/cat/2.png"]),
        ("", ["valid/cat/0.png", "valid/cat/1.png", "valid/cat/3.png"]),
    ],
)
def test_the_pictures_of_each_outcome_are_listed(pets: Pets, change: str, expected: list[str]) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0, 1, 2)), pets.train(version, cats(2, 3))

    found = pets.compare(before, after, f"change={change}" if change else "")

    assert paths(found["images"]) == expected


def test_a_listed_picture_has_its_label_and_both_answers(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0)), pets.train(version)

    (image,) = pets.compare(before, after, "change=now-right")["images"]["items"]

    assert image["image_id"] == pets.images["valid/cat/0.png"]
    assert (image["label"], image["predicted_before"], image["predicted_after"]) == ("cat", "dog", "cat")
    assert image["change"] == "now-right"
    assert image["probability_after"] == pytest.approx(0.8)
    assert image["thumbnail_url"].startswith(f"/api/v1/images/{image['image_id']}/thumbnail")


def test_lists_are_paged_by_cursor(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0, 1, 2)), pets.train(version)

    first = pets.compare(before, after, "change=now-right&limit=2")["images"]
    second = pets.compare(before, after, f"change=now-right&limit=2&after={first['next']}")["images"]

    assert paths({"items": first["items"] + second["items"]}) == [
        "valid/cat/0.png",
        "valid/cat/1.png",
        "valid/cat/2.png",
    ]
    assert (len(first["items"]), second["next"]) == (2, None)


def test_pictures_of_one_version_alone_are_counted_and_left_out(pets: Pets) -> None:
    before = pets.train(pets.freeze(), cats(0))
    pets.bring("valid/cat/new.png", "valid/dog/new.png")
    pets.relabel({"valid/cat/9.png": None})
    after = pets.train(pets.freeze(), {"valid/cat/new.png": "dog"})

    found = pets.compare(before, after)

    assert found["shared_images"] == 19
    assert (found["before"]["images_only_here"], found["after"]["images_only_here"]) == (1, 2)
    assert found["after"]["errors"] == 0


def test_both_are_scored_on_the_labels_of_today(pets: Pets) -> None:
    version = pets.freeze()
    # Picture 0 is a dog under a wrong name: the first model sees that, the second has learnt the mistake.
    before, after = pets.train(version, cats(0)), pets.train(version)
    pets.relabel({"valid/cat/0.png": "dog", "valid/cat/1.png": None})

    found = pets.compare(before, after)

    assert (found["before"]["errors"], found["after"]["errors"]) == (0, 1)
    assert (found["shared_images"], found["relabelled"], found["left_out"]) == (19, 1, 1)
    assert found["now_wrong"] == 1
    listed = pets.compare(before, after, "change=relabelled")["images"]["items"]
    assert [(one["path"], one["label_before"], one["label"]) for one in listed] == [("valid/cat/0.png", "cat", "dog")]


def test_a_label_that_was_changed_back_is_the_old_one_again(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0)), pets.train(version)
    pets.relabel({"valid/cat/0.png": "dog"})
    pets.client.post(f"/api/v1/datasets/{pets.dataset_id}/labels/undo")

    found = pets.compare(before, after)

    assert (found["before"]["errors"], found["after"]["errors"], found["relabelled"]) == (1, 0, 0)


def test_answers_in_the_old_name_of_a_class_still_count(pets: Pets) -> None:
    before = pets.train(pets.freeze(), cats(0))
    pets.rename(["cat"], "kitten")
    pets.relabel({"valid/cat/1.png": "dog"})
    after = pets.train(pets.freeze())

    found = pets.compare(before, after)

    assert (found["before"]["errors"], found["after"]["errors"]) == (2, 0)
    assert (found["relabelled"], found["before"]["classes_not_learnt"]) == (1, [])
    assert sorted(one["class"] for one in found["per_class"]) == ["dog", "kitten"]


def test_a_class_that_only_the_newer_run_has_learnt_is_named(pets: Pets) -> None:
    before = pets.train(pets.freeze())
    pets.relabel({f"{side}/cat/{n}.png": "lynx" for side in ("train", "valid") for n in range(3)})
    after = pets.train(pets.freeze())

    found = pets.compare(before, after)

    assert found["before"]["classes_not_learnt"] == ["lynx"]
    assert found["after"]["classes_not_learnt"] == []
    assert (found["before"]["errors"], found["after"]["errors"], found["relabelled"]) == (3, 0, 3)


def test_settings_that_differ_are_in_words(pets: Pets) -> None:
    first = pets.freeze()
    pets.relabel({"train/cat/0.png": "dog"})
    before, after = pets.train(first), pets.train(pets.freeze())

    assert pets.compare(before, after)["settings"] == [{"name": "Version", "before": "1", "after": "2"}]


def test_two_stages_of_one_run_are_named_by_their_checkpoints(pets: Pets) -> None:
    run = pets.train(pets.freeze())
    (checkpoint,) = pets.client.get(f"/api/v1/runs/{run}").json()["checkpoints"]

    found = pets.compare(run, run, f"checkpoint={checkpoint['id']}&other_checkpoint={checkpoint['id']}")

    assert found["after"]["checkpoint_id"] == checkpoint["id"]
    assert found["message"] == "Both models get the same pictures right."


def test_runs_of_two_datasets_are_not_compared(pets: Pets, client: TestClient, database: Database) -> None:
    other = new_pets(client, database)
    before, after = pets.train(pets.freeze()), other.train(other.freeze())

    answer = client.get(f"/api/v1/runs/{before}/compare/{after}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "runs-of-two-datasets")


def test_runs_without_a_common_picture_are_not_compared(pets: Pets) -> None:
    before = pets.train(pets.freeze())
    pets.relabel({f"valid/{kind}/{n}.png": None for kind in ("cat", "dog") for n in range(10)})
    pets.bring("valid/cat/new.png", "valid/dog/new.png")
    after = pets.train(pets.freeze())

    answer = pets.client.get(f"/api/v1/runs/{before}/compare/{after}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no-pictures-in-common")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("change=nonsense", 422, "invalid-input"),
        ("after=nonsense", 422, "cursor-unknown"),
        ("checkpoint=nothing", 404, "checkpoint-not-found"),
    ],
)
def test_what_cannot_be_used_is_refused(pets: Pets, query: str, status: int, code: str) -> None:
    version = pets.freeze()
    before, after = pets.train(version), pets.train(version)

    answer = pets.client.get(f"/api/v1/runs/{before}/compare/{after}?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_unknown_run_is_not_found(pets: Pets) -> None:
    run = pets.train(pets.freeze())

    answer = pets.client.get(f"/api/v1/runs/{run}/compare/nothing")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run-not-found")


def test_nobody_without_a_key_sees_a_comparison(anonymous: TestClient) -> None:
    assert anonymous.get("/api/v1/runs/a/compare/b").status_code == 401
