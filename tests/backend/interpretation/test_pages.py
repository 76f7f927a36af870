"""The pages that show what a model got right and wrong."""

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import RunId
from backend.interpretation.record import record_predictions
from tests.backend.interpretation.conftest import (
    ONE_PAIR,
    SIX_PAIRS,
    TriedRun,
    add_checkpoint,
    answer_with,
    evaluation_of,
)
from tests.fixtures.statements import statements_of

PAGE = {"Accept": "text/html"}


def test_the_overview_shows_how_much_is_right_and_between_what(client: TestClient, tried_run: TriedRun) -> None:
    text = client.get(f"/runs/{tried_run.run_id}/understand", headers=PAGE).text

    assert "50 % right" in text
    assert "Likely 19 to 81 %" in text
    assert "3 pictures are wrong" in text
    assert "<b>cat</b>, predicted <b>dog</b>" in text


def test_the_matrix_is_a_grid_whose_cells_are_described_in_words(client: TestClient, tried_run: TriedRun) -> None:
    text = client.get(f"/runs/{tried_run.run_id}/understand/confusions", headers=PAGE).text

    assert 'role="grid"' in text
    assert 'aria-label="actual cat, predicted dog: 2 pictures"' in text
    assert f'href="/runs/{tried_run.run_id}/images?actual=cat&amp;predicted=dog"' in text


def test_a_cell_opens_its_images(client: TestClient, tried_run: TriedRun) -> None:
    text = client.get(f"/runs/{tried_run.run_id}/images?actual=cat&predicted=dog", headers=PAGE).text

    assert "<h1>cat, predicted dog</h1>" in text
    assert "2 pictures" in text
    assert tried_run.images[1] in text
    assert tried_run.images[0] not in text


def test_top_losses_can_be_narrowed_by_the_address(client: TestClient, tried_run: TriedRun) -> None:
    address = f"/runs/{tried_run.run_id}/understand/top-losses?wrong=true&sure_from=75&sure_below=&actual="

    text = client.get(address, headers=PAGE).text

    assert "2 pictures, the largest" in text


def test_classes_with_few_pictures_are_said_to_have_few(client: TestClient, tried_run: TriedRun) -> None:
    text = client.get(f"/runs/{tried_run.run_id}/understand/classes?sort=recall&down=true", headers=PAGE).text

    assert "Every class has fewer than 10 test pictures" in text
    assert text.index('scope="row">dog') < text.index('scope="row">cat') < text.index('scope="row">owl')


def test_before_the_first_stage_it_shows_there_is_nothing_yet(client: TestClient, untried_run: RunId) -> None:
    for path in ("understand", "understand/confusions", "understand/top-losses", "understand/classes", "images"):
        answer = client.get(f"/runs/{untried_run}/{path}", headers=PAGE)

        assert answer.status_code == 200
        assert "No results yet" in answer.text


def test_the_matrix_has_a_legend_of_its_colours(client: TestClient, tried_run: TriedRun) -> None:
    text = client.get(f"/runs/{tried_run.run_id}/understand/confusions", headers=PAGE).text

    assert "mistakes in a cell" in text
    assert '<span class="matrix-key" data-level="1"></span> 1' in text


def test_a_confused_pair_shows_the_pictures_of_both_ways(client: TestClient, mixed_up_run: TriedRun) -> None:
    run, images = mixed_up_run.run_id, mixed_up_run.images

    text = client.get(f"/runs/{run}/understand/confusions", headers=PAGE).text

    pairs = text[text.index('class="pairs"') :]
    one_way, other_way = pairs[: pairs.index("dog taken for cat: 1")], pairs[pairs.index("dog taken for cat: 1") :]
    assert "cat taken for dog: 3" in one_way
    assert "Actual cat (the label), predicted dog: 100 % of the 3 test pictures of cat." in one_way
    shown = [f'<a href="/runs/{run}/images/{image}"><img class="thumb"' for image in (images[2], images[0], images[1])]
    assert sorted(shown, key=one_way.index) == shown
    assert 'alt="labelled cat, predicted dog 90 %"' in one_way
    assert f'<a href="/runs/{run}/images/{images[3]}"><img class="thumb"' in other_way
    assert f'href="/runs/{run}/fix?from=cell&amp;actual=dog&amp;predicted=cat"' in other_way
    assert pairs.count("data-merge=") == 2


def test_a_way_that_never_happened_is_said_to_be_none(client: TestClient, tried_run: TriedRun) -> None:
    text = client.get(f"/runs/{tried_run.run_id}/understand/confusions", headers=PAGE).text

    assert "dog taken for cat: none" in text
    assert "No test picture of dog was predicted cat." in text


def test_pairs_that_were_confused_less_often_open_with_a_click(
    client: TestClient, database: Database, tried_run: TriedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.interpretation.confusions.PAIRS_OPEN", 1)
    answer_with(database, tried_run, SIX_PAIRS)

    text = client.get(f"/runs/{tried_run.run_id}/understand/confusions", headers=PAGE).text

    seen, folded = text.split("<summary>2 more pairs, confused less often</summary>")
    assert (seen.count('class="card pair"'), folded.count('class="card pair"')) == (1, 2)


def test_the_page_takes_as_many_statements_for_many_pairs_as_for_one(
    client: TestClient, database: Database, tried_run: TriedRun
) -> None:
    address = f"/runs/{tried_run.run_id}/understand/confusions"
    answer_with(database, tried_run, ONE_PAIR)
    with statements_of(database) as for_one:
        assert client.get(address, headers=PAGE).text.count("data-pair-count") == 1
    answer_with(database, tried_run, SIX_PAIRS)

    with statements_of(database) as for_six:
        assert client.get(address, headers=PAGE).text.count("data-pair-count") == 6

    assert len(for_six) == len(for_one)


def test_links_stay_with_a_stage_that_is_not_the_best_one(
    client: TestClient, tried_run: TriedRun, database: Database
) -> None:
    with database.write() as session:
        worse = add_checkpoint(session, tried_run.run_id, stage=1, error_rate=0.4)
        record_predictions(session, worse, evaluation_of(tried_run.images))

    of_worse = client.get(f"/runs/{tried_run.run_id}/understand/top-losses?checkpoint={worse}", headers=PAGE).text
    of_best = client.get(f"/runs/{tried_run.run_id}/understand/top-losses", headers=PAGE).text

    page = f'href="/runs/{tried_run.run_id}/images/{tried_run.images[5]}'
    assert f'{page}?checkpoint={worse}"' in of_worse
    assert f'{page}"' in of_best
