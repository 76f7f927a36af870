"""The page that compares two runs, and the ways to it."""

import re

from starlette.testclient import TestClient

from tests.backend.training.compare.conftest import Pets, cats

PAGE = {"Accept": "text/html"}


def seen(pets: Pets, path: str) -> str:
    answer = pets.client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def led_to(pets: Pets, path: str) -> str:
    answer = pets.client.get(path, headers=PAGE, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_the_verdict_is_the_heading_and_the_better_run_the_next_step(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0, 1, 2, 3, 4, 5)), pets.train(version)

    text = seen(pets, f"/runs/{before}/compare/{after}")
    swapped = seen(pets, f"/runs/{after}/compare/{before}")

    assert "6 fewer mistakes" in text
    assert "more than chance would explain (p = 0.031)" in text
    assert "both on the same 20 test pictures" in text
    model = pets.client.get(f"/api/v1/runs/{after}").json()["checkpoints"][0]["id"]
    # Whichever comes first, the better one is to be used.
    assert f'button-primary" href="/checkpoints/{model}/try"' in text
    assert f'button-primary" href="/checkpoints/{model}/try"' in swapped


def test_pictures_that_changed_are_shown_with_both_answers_and_lead_to_their_page(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0, 1)), pets.train(version, cats(1, 2))

    text = seen(pets, f"/runs/{before}/compare/{after}")

    for title in ("Now right", "Now wrong", "Still wrong"):
        assert f'{title} <span class="quiet">1</span>' in text
    assert 'alt="labelled cat, predicted dog before and cat after"' in text
    assert f'href="/datasets/{pets.dataset_id}/images/{pets.images["valid/cat/0.png"]}"' in text


def test_a_long_list_has_a_page_of_its_own(pets: Pets) -> None:
    pets.bring(*(f"valid/cat/more {n}.png" for n in range(70)))
    version = pets.freeze()
    mistaken = {f"valid/cat/more {n}.png": "dog" for n in range(70)}
    before, after = pets.train(version, mistaken), pets.train(version)
    path = f"/runs/{before}/compare/{after}"

    whole, alone = seen(pets, path), seen(pets, f"{path}?change=now-right")

    assert whole.count("answer-tile") == 12
    assert "See all 70" in whole
    assert alone.count("answer-tile") == 60
    assert 'rel="next"' in alone
    assert "Now wrong" not in alone


def test_what_the_comparison_leaves_out_is_in_words(pets: Pets) -> None:
    before = pets.train(pets.freeze())
    pets.bring("valid/cat/new.png")
    pets.relabel({"valid/cat/0.png": "dog", "train/cat/1.png": "lynx", "valid/cat/1.png": "lynx"})
    after = pets.train(pets.freeze())
    pets.relabel({"valid/cat/2.png": None})

    text = seen(pets, f"/runs/{before}/compare/{after}")

    assert "1 test picture of" in text
    assert "never learnt lynx, so it can't get its pictures right" in text
    assert "2 labels have changed since" in text
    assert 'Label corrected <span class="quiet">2</span>' in text
    assert "was cat" in text
    assert "1 picture has no label today" in text


def test_curves_have_a_table_of_both_runs(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version), pets.train(version)

    text = seen(pets, f"/runs/{before}/compare/{after}")

    assert "Learning curves" in text
    assert text.count('<td class="number">0.5000</td><td class="number">0.4000</td>') == 2
    assert "both were trained with the same settings on the same version" in text


def test_runs_that_differ_in_their_seed_show_what_chance_in_training_does(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version), pets.train(version, seed=43)
    again = f"/versions/{version}/train?again={after}&seed=44"

    alike, other = seen(pets, f"/runs/{before}/compare/{after}"), seen(pets, f"/runs/{before}/compare/{before}")

    assert "Only the seed differs here" in alike
    assert f"train?again={before}&amp;seed=43" in other
    assert re.search('name="seed"[^>]*value="44"', seen(pets, again))


def test_what_chance_alone_changes_stands_beside_what_changed(pets: Pets) -> None:
    version = pets.freeze()
    before, after = pets.train(version, cats(0, 1, 2, 3)), pets.train(version, cats(3))
    path = f"/runs/{before}/compare/{after}"

    waiting = seen(pets, path)
    pets.count_chance({"valid/cat/0.png": ["dog", "cat", "cat"], "valid/dog/1.png": ["cat", "cat", "dog"]})
    known = seen(pets, path)

    assert "data-measuring" in waiting
    assert "will be counted as soon as a worker is free." in waiting
    assert "data-measuring" not in known
    assert "Chance alone changes 1 to 2 answers of 20 here; 3 changed. More changed than by chance alone." in known
    assert "1, 2, 1 answers changed, 1 in the middle." in known


def test_from_a_run_it_leads_to_the_run_before_it_else_to_the_one_after_it(pets: Pets) -> None:
    version = pets.freeze()
    first, second, third = (pets.train(version) for _ in range(3))

    assert led_to(pets, f"/runs/{third}/compare") == f"/runs/{second}/compare/{third}"
    assert led_to(pets, f"/runs/{first}/compare") == f"/runs/{first}/compare/{second}"


def test_the_only_run_says_what_is_needed(pets: Pets) -> None:
    run = pets.train(pets.freeze())

    text = seen(pets, f"/runs/{run}/compare")

    assert "Two runs on the same dataset are needed" in text
    assert f"train?again={run}" in text


def test_runs_without_a_common_picture_are_explained(pets: Pets) -> None:
    before = pets.train(pets.freeze())
    pets.relabel({f"valid/{kind}/{n}.png": None for kind in ("cat", "dog") for n in range(10)})
    pets.bring("valid/cat/new.png", "valid/dog/new.png")
    after = pets.train(pets.freeze())

    text = seen(pets, f"/runs/{before}/compare/{after}")

    assert "have no validation pictures in common" in text
    assert 'name="before"' in text


def test_two_runs_of_the_list_are_compared_the_older_one_first(pets: Pets) -> None:
    version = pets.freeze()
    first, second = pets.train(version), pets.train(version)

    assert led_to(pets, f"/runs/compare?run={second}&run={first}") == f"/runs/{first}/compare/{second}"
    assert led_to(pets, f"/runs/compare?before={second}&after={first}") == f"/runs/{second}/compare/{first}"
    assert "Compare two" in seen(pets, "/runs")


def test_one_run_of_the_list_leads_back_with_a_sentence(pets: Pets) -> None:
    run = pets.train(pets.freeze())

    assert "Select two runs of one dataset" in seen(pets, f"/runs/compare?run={run}")


def test_a_model_of_another_run_is_left_behind_when_a_run_is_chosen(pets: Pets) -> None:
    version = pets.freeze()
    first, second, third = (pets.train(version) for _ in range(3))
    model = pets.client.get(f"/api/v1/runs/{first}").json()["checkpoints"][0]["id"]

    path = f"/runs/compare?after={third}&checkpoint={model}"

    assert led_to(pets, f"{path}&before={first}") == f"/runs/{first}/compare/{third}?checkpoint={model}"
    assert led_to(pets, f"{path}&before={second}") == f"/runs/{second}/compare/{third}"
    assert (
        led_to(pets, f"/runs/compare?before={third}&after={first}&checkpoint={model}")
        == f"/runs/{third}/compare/{first}"
    )


def test_the_pages_of_a_run_lead_to_the_comparison(pets: Pets) -> None:
    run = pets.train(pets.freeze())

    assert f'href="/runs/{run}/compare"' in seen(pets, f"/runs/{run}")
    assert f'href="/runs/{run}/compare"' in seen(pets, f"/runs/{run}/understand")


def test_whoever_is_not_signed_in_is_led_to_sign_in(anonymous: TestClient) -> None:
    answer = anonymous.get("/runs/a/compare/b", headers=PAGE)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
