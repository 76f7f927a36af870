"""The labels page and the look at what the network will see, read without scripts."""

import re

from tests.backend.datasets.conftest import Ana
from tests.backend.datasets.test_pages import seen, sent
from tests.fixtures.pictures import draw, encode

PAGE = {"Accept": "text/html"}


def test_the_labels_page_opens_with_the_best_rule_applied(ana: Ana) -> None:
    ana.bring_shapes(3)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/labels")

    assert "Suggested: the folder each picture is in; this fits 9 of 9 pictures" in text
    assert "<h2>3 classes</h2>" in text
    assert re.search(r"<mark[^>]*>circle</mark>", text)


def test_without_pictures_the_labels_page_asks_for_some(ana: Ana) -> None:
    assert "Add pictures first" in seen(ana.client, f"/datasets/{ana.dataset_id}/labels")


def test_the_preview_is_a_fragment(ana: Ana) -> None:
    ana.bring_shapes(3)

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/labels/preview", data={"kind": "folder", "level": "2"})

    assert "<html" not in answer.text
    assert 'data-can-freeze="false"' in answer.text
    assert "There is only one class, “shapes”" in answer.text


def test_a_rule_that_cant_be_used_is_asked_in_words(ana: Ana) -> None:
    ana.bring_shapes(1)

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/labels/preview", data={"kind": "pattern", "pattern": "(["})

    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("This pattern isn't complete")


def test_these_labels_are_right_freezes_a_version_and_leads_to_it(ana: Ana) -> None:
    ana.bring_shapes(5)

    path = sent(ana.client, f"/datasets/{ana.dataset_id}/labels", kind="pattern", pattern=r"/(\w+)/\d+\.png$")

    text = seen(ana.client, path)
    assert "What the network will see" in text
    assert text.count('class="batch-title"') == 9
    assert ana.dataset()["classes"] == 3


def test_labels_that_cant_be_frozen_stay_in_the_form(ana: Ana) -> None:
    ana.bring_shapes(2)

    answer = ana.client.post(
        f"/datasets/{ana.dataset_id}/labels", data={"kind": "expression", "expression": "'same'"}, headers=PAGE
    )

    assert answer.status_code == 422
    assert 'value="&#39;same&#39;"' in answer.text
    assert ana.dataset()["versions"] == 0


def test_a_bad_field_is_asked_beside_it(ana: Ana) -> None:
    ana.bring_shapes(2)

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/labels/preview", data={"kind": "folder", "valid": "0"})

    assert answer.json()["error"]["details"]["fields"] == {"valid": "The share held out must be a number from 1 to 90."}


def test_earlier_versions_can_be_opened(ana: Ana) -> None:
    ana.bring_shapes(3)
    first, second = (ana.freeze({"kind": "folder"})["id"] for _ in range(2))

    for path in (f"/datasets/{ana.dataset_id}/labels", f"/versions/{second}"):
        text = seen(ana.client, path)
        assert f'href="/versions/{first}"' in text
        assert "9 pictures in 3 classes, labels from the folder each picture is in" in text


def test_a_note_among_the_files_is_no_table_to_choose(ana: Ana) -> None:
    ana.bring_shapes(2)
    ana.bring({"notes.txt": b"Taken in May, by Ana.\nMore to come, perhaps."})

    assert "There is no table among the files yet" in seen(ana.client, f"/datasets/{ana.dataset_id}/labels")


def test_many_classes_show_few_pictures_each(ana: Ana) -> None:
    ana.bring({f"{kind}/{n}.png": encode(draw("circle", 10 * kind + n, 16)) for kind in range(20) for n in range(3)})

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/labels")

    assert text.count('class="thumb"') == 40 + 9
    assert 'loading="lazy"' in text


def test_what_would_be_refused_cannot_be_frozen(ana: Ana) -> None:
    ana.bring(
        {f"{kind}/x_{n}.png": encode(draw("circle", n + 9 * len(kind), 16)) for kind in ("a", "bb") for n in range(3)}
    )

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/labels/preview", data={"kind": "folder", "group": "/(x)_"})

    assert 'data-can-freeze="false"' in answer.text
    assert "No pictures are held out to test the model on." in answer.text


def test_the_look_page_keeps_its_nine_by_the_address(ana: Ana) -> None:
    ana.bring_shapes(6)
    version = ana.freeze({"kind": "folder"})["id"]

    pictures = [
        re.findall(r"/batch/[^\"]+", seen(ana.client, f"/versions/{version}?seed=7&augmented=false")) for _ in range(2)
    ]

    assert len(pictures[0]) == 9
    assert pictures[0] == pictures[1]
    assert all("augmented=false" in address for address in pictures[0])
