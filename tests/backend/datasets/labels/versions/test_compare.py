"""What changed between two versions, and the page that lists and undoes changes of labels."""

from tests.backend.datasets.conftest import Ana
from tests.backend.datasets.test_pages import seen, sent
from tests.fixtures.pictures import draw, encode

FOLDER = {"kind": "folder"}


def two_versions(ana: Ana) -> tuple[str, str]:
    """Of nine pictures one is relabelled, one left out, and one is new in the second version."""
    ana.bring_shapes(3)
    first = ana.freeze(FOLDER)["id"]
    ids = {image["path"]: image["id"] for image in ana.images()}
    changes = [
        {"image_id": ids["shapes/circle/0.png"], "label": "cross"},
        {"image_id": ids["shapes/circle/1.png"], "label": None},
    ]
    ana.client.patch(f"/api/v1/datasets/{ana.dataset_id}/labels", json={"changes": changes, "reason": "top-losses"})
    ana.bring({"shapes/square/new.png": encode(draw("square", 99))})
    return first, ana.freeze(FOLDER)["id"]


def test_two_versions_are_compared_by_class_and_picture(ana: Ana) -> None:
    first, second = two_versions(ana)

    found = ana.client.get(f"/api/v1/versions/{first}/compare/{second}").json()

    assert {key: found[key] for key in ("added", "gone", "relabelled")} == {"added": 1, "gone": 1, "relabelled": 1}
    assert found["classes"] == [
        {"name": "circle", "before": 3, "after": 1},
        {"name": "cross", "before": 3, "after": 4},
        {"name": "square", "before": 3, "after": 4},
    ]
    address = f"/api/v1/versions/{first}/compare/{second}/images"
    shown = {
        kind: [
            (image["path"], image["label_before"], image["label_after"])
            for image in ana.client.get(f"{address}?kind={kind}").json()["items"]
        ]
        for kind in ("added", "gone", "relabelled")
    }
    assert shown == {
        "added": [("shapes/square/new.png", None, "square")],
        "gone": [("shapes/circle/1.png", "circle", None)],
        "relabelled": [("shapes/circle/0.png", "circle", "cross")],
    }


def test_versions_of_two_datasets_are_not_compared(ana: Ana) -> None:
    first, _ = two_versions(ana)
    other = ana.another()
    other.bring_shapes(3)

    answer = ana.client.get(f"/api/v1/versions/{first}/compare/{other.freeze(FOLDER)['id']}")

    assert answer.json()["error"]["code"] == "versions-of-two-datasets"


def test_the_page_shows_what_changed_and_undoes_an_action(ana: Ana) -> None:
    two_versions(ana)
    page = f"/datasets/{ana.dataset_id}/versions"

    text = seen(ana.client, f"{page}?from=1&to=2")
    batch = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/labels/changes").json()["items"][0]["batch_id"]
    sent(ana.client, f"/datasets/{ana.dataset_id}/labels/undo", batch_id=batch)

    assert "circle → cross" in text
    assert "Undo these 2" in text
    assert "2 changed by hand" in text
    assert "Bring back" in seen(ana.client, page)
    assert ana.preview(FOLDER)["overrides"] == {"labelled": 0, "left_out": 0, "classes": {}}


def test_classes_are_merged_on_the_labels_page(ana: Ana) -> None:
    ana.bring(
        {
            f"{name}/{n}.png": encode(draw("circle", n + 10 * k))
            for k, name in enumerate(("Cat", "cat", "dog", "nan"))
            for n in range(2)
        }
    )
    page = f"/datasets/{ana.dataset_id}/labels"

    assert "Merge into “Cat”" in seen(ana.client, page)
    change = '{"classes": ["Cat", "cat"], "to": "cat"}'
    sent(ana.client, f"{page}/classes", kind="folder", level="1", change=change)
    sent(ana.client, f"{page}/classes", kind="folder", level="1", edit="leave-out", edit_class="nan")

    text = seen(ana.client, page)
    assert "<h2>2 classes</h2>" in text
    assert "2 classes renamed, merged or left out" in text
    path = sent(ana.client, f"{page}/by-hand/start", kind="folder", level="1", show="all", edit_class="dog")
    assert "of “dog”" in seen(ana.client, path)


def test_labels_are_taken_from_a_table_on_the_labels_page(ana: Ana) -> None:
    ana.bring_shapes(1)
    table = b"name,label\ncircle/0.png,ring\nmissing.png,ring\n"

    answer = ana.client.post(
        f"/datasets/{ana.dataset_id}/labels/table", files={"files": ("mine.csv", table)}, follow_redirects=False
    )
    report = ana.client.post(
        f"/datasets/{ana.dataset_id}/labels/table?report=true", files={"files": ("mine.csv", table)}
    )

    assert answer.status_code == 303
    assert "“0.png” is now “ring”. 1 row named no picture here. 2 pictures had no row." in seen(
        ana.client, answer.headers["location"]
    )
    assert "missing.png,no picture of this name" in report.text
