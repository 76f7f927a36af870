"""Pages of a dataset, read without scripts: what they show and what their forms do."""

import re

import pytest
from starlette.testclient import TestClient

from backend.datasets.label_form import LabelForm
from backend.datasets.label_view import _parts
from backend.domain.labelling import CsvRule, ExpressionRule, FolderRule, ListRule, PatternRule, RuleSpec
from backend.domain.splitting import CsvSplit, FolderSplit, RandomSplit, SplitSpec
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

PAGE = {"Accept": "text/html"}
HOSTILE = "<img src=x onerror=alert(1)>"


def seen(client: TestClient, path: str) -> str:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def sent(client: TestClient, path: str, **fields: str) -> str:
    """Where a form leads."""
    answer = client.post(path, data=fields, headers=PAGE, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


# Bring pictures


def test_a_form_makes_a_dataset_and_leads_to_it(client: TestClient) -> None:
    path = sent(client, "/datasets", name=" Leaves ")

    assert "<h1>Leaves</h1>" in seen(client, path)


def test_a_dataset_without_a_name_is_refused_beside_the_field(client: TestClient) -> None:
    answer = client.post("/datasets", data={"name": "  "}, headers=PAGE)

    assert answer.status_code == 422
    assert "A dataset needs a name" in answer.text


def test_a_sample_waits_to_be_unpacked(client: TestClient) -> None:
    path = sent(client, "/datasets/sample", sample="digits")

    assert "Waits: handwritten digits" in seen(client, path)


def test_files_can_be_brought_without_scripts(ana: Ana) -> None:
    files = [("files", ("a/1.png", encode(draw("circle", 1)))), ("files", ("a/2.png", b"no picture"))]

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/upload", files=files, headers=PAGE)

    assert "1 picture came in, 1 were left aside." in answer.text
    assert "a/2.png" in answer.text


def test_the_page_shows_what_has_arrived(ana: Ana) -> None:
    ana.bring_shapes(2)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}")

    assert "6 pictures" in text
    assert text.count('class="tile"') == 6
    assert "ok, 6" in text


def test_an_unknown_dataset_is_a_page_that_says_so(client: TestClient) -> None:
    answer = client.get("/datasets/nothing", headers=PAGE)

    assert answer.status_code == 404
    assert "<h1>This isn&#39;t here</h1>" in answer.text


def test_names_are_only_text(ana: Ana) -> None:
    ana.bring({f"{HOSTILE}/{HOSTILE}{number}.png": encode(draw("cross", number)) for number in range(3)})
    ana.bring({f"plain/{number}.png": encode(draw("circle", number)) for number in range(3)})
    ana.bring({f"{HOSTILE}.png": b"no picture"})
    sent(ana.client, f"/datasets/{ana.dataset_id}/rename", name=HOSTILE)
    version = ana.freeze({"kind": "folder"})["id"]

    for path in ("", "/labels", "/images"):
        assert "<img src=x" not in seen(ana.client, f"/datasets/{ana.dataset_id}{path}")
    assert "<img src=x" not in seen(ana.client, f"/versions/{version}")
    assert "<img src=x" not in seen(ana.client, "/")


# Rename, delete


def test_it_is_renamed(ana: Ana) -> None:
    path = sent(ana.client, f"/datasets/{ana.dataset_id}/rename", name="Cats")

    assert "<h1>Cats</h1>" in seen(ana.client, path)


def test_it_goes_when_its_name_was_typed(ana: Ana) -> None:
    assert sent(ana.client, f"/datasets/{ana.dataset_id}/delete", typed="Pets") == "/"
    assert ana.client.get(f"/api/v1/datasets/{ana.dataset_id}").status_code == 404


def test_it_stays_when_another_name_was_typed(ana: Ana) -> None:
    sent(ana.client, f"/datasets/{ana.dataset_id}/delete", typed="Dogs")

    assert ana.dataset()["name"] == "Pets"


# Labels


def test_the_workbench_opens_with_the_best_rule_applied(ana: Ana) -> None:
    ana.bring_shapes(3)

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/labels")

    assert "We think: the folder the picture is in, because 9 of 9 fit" in text
    assert "<h2>3 classes</h2>" in text
    assert re.search(r"<mark[^>]*>circle</mark>", text)


def test_without_pictures_the_workbench_asks_for_some(ana: Ana) -> None:
    assert "Bring pictures first" in seen(ana.client, f"/datasets/{ana.dataset_id}/labels")


def test_the_preview_is_a_fragment(ana: Ana) -> None:
    ana.bring_shapes(3)

    answer = ana.client.post(f"/datasets/{ana.dataset_id}/labels/preview", data={"kind": "folder", "level": "2"})

    assert "<html" not in answer.text
    assert 'data-can-freeze="false"' in answer.text
    assert "There&#39;s only one kind here (shapes)" in answer.text


def test_a_rule_that_cant_be_used_is_told_in_words(ana: Ana) -> None:
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


def test_the_look_page_keeps_its_nine_by_the_address(ana: Ana) -> None:
    ana.bring_shapes(6)
    version = ana.freeze({"kind": "folder"})["id"]

    pictures = [
        re.findall(r"/batch/[^\"]+", seen(ana.client, f"/versions/{version}?seed=7&augmented=false")) for _ in range(2)
    ]

    assert len(pictures[0]) == 9
    assert pictures[0] == pictures[1]
    assert all("augmented=false" in address for address in pictures[0])


def test_the_gallery_shows_one_class(ana: Ana) -> None:
    ana.bring_shapes(3)
    ana.freeze({"kind": "folder"})

    text = seen(ana.client, f"/datasets/{ana.dataset_id}/images?class=circle")

    assert "3 pictures labelled circle" in text
    assert text.count('class="tile"') == 3


# The form


@pytest.mark.parametrize(
    ("rule", "split"),
    [
        (FolderRule(level=2), RandomSplit(valid=0.3, test=0.1, seed=7, group="/(.)")),
        (PatternRule(pattern="/(x)"), FolderSplit(valid="val")),
        (CsvRule(file="a.csv", label_column="breed"), CsvSplit(column="held_out")),
        (ExpressionRule(expression="stem"), RandomSplit()),
        (ListRule(labels={"a/1.png": "cat", "a, b.png": None}), RandomSplit()),
    ],
)
def test_a_rule_goes_through_the_form_and_back(rule: RuleSpec, split: SplitSpec) -> None:
    form = LabelForm.of_specs(rule, split)

    assert form.rule == rule
    assert form.split_spec == split


def test_the_marked_part_of_a_name_is_its_label() -> None:
    parts = _parts("pets/Maine_Coon_181.jpg", "Maine_Coon", PatternRule(pattern="x"))

    assert [(part.text, part.is_label) for part in parts] == [
        ("pets", False),
        ("/", False),
        ("Maine_Coon", True),
        ("_", False),
        ("181", False),
        (".jpg", False),
    ]
