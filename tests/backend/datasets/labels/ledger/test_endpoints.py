"""Labels changed by hand, by REST: they count at once, are undone as one, and come back from a CSV."""

import csv
import io
from typing import Any

import pytest

from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

FOLDER = {"kind": "folder"}


def shapes(ana: Ana, each: int = 3) -> dict[str, str]:
    """Pictures in three folders, with their labels read from these; id of each by its path without ``shapes/``."""
    ana.bring_shapes(each)
    assert call(ana, "PUT", "/labels/rule", {"rule": FOLDER})["rule"] == {"kind": "folder", "level": 1}
    return {image["path"].removeprefix("shapes/"): image["id"] for image in ana.images()}


def call(ana: Ana, method: str, path: str, body: Json = None, status: int = 200) -> Any:  # Any: JSON values
    answer = ana.client.request(method, f"/api/v1/datasets/{ana.dataset_id}{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def change(ana: Ana, *labels: tuple[str, str | None], **more: str) -> Any:  # Any: JSON values
    changes = [{"image_id": image_id, "label": label} for image_id, label in labels]
    return call(ana, "PATCH", "/labels", {"changes": changes, **more})


def labels(ana: Ana) -> dict[str, str]:
    """The labels as they stand, from the CSV; ``-`` is left out."""
    text = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/labels.csv").content.decode("utf-8-sig")
    return {
        row["path"].removeprefix("shapes/"): "-" if row["left_out"] else row["label"]
        for row in csv.DictReader(io.StringIO(text))
    }


def send_csv(ana: Ana, content: bytes, status: int = 200) -> Any:  # Any: JSON values
    answer = ana.client.post(
        f"/api/v1/datasets/{ana.dataset_id}/labels.csv", content=content, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == status, answer.text
    return answer.json()


# One by one


def test_a_label_by_hand_counts_instead_of_the_rules(ana: Ana) -> None:
    ids = shapes(ana)

    answer = change(
        ana, (ids["circle/0.png"], "cross"), (ids["circle/1.png"], None), reason="top-losses", run_id="a" * 32
    )

    assert (answer["changed"], answer["unchanged"], answer["message"]) == (2, 0, "2 labels changed.")
    assert labels(ana)["circle/0.png"] == "cross"
    assert labels(ana)["circle/1.png"] == "-"
    assert {found["name"]: found["images"] for found in ana.preview(FOLDER)["classes"]} == {
        "circle": 1,
        "cross": 4,
        "square": 3,
    }
    first = call(ana, "GET", "/labels/changes")["items"][-1]
    assert {key: first[key] for key in ("path", "before", "after", "left_out", "who", "reason", "run_id")} == {
        "path": "shapes/circle/0.png",
        "before": "circle",
        "after": "cross",
        "left_out": False,
        "who": "owner",
        "reason": "top-losses",
        "run_id": "a" * 32,
    }


def test_one_action_is_one_undo_and_one_redo(ana: Ana) -> None:
    ids = shapes(ana)
    before = labels(ana)
    change(ana, (ids["circle/0.png"], "cross"), (ids["circle/1.png"], "cross"))
    after = labels(ana)

    assert call(ana, "POST", "/labels/undo")["message"] == "2 pictures are now “cross”."
    assert labels(ana) == before
    assert call(ana, "POST", "/labels/redo")["changes"] == 2
    assert labels(ana) == after
    assert call(ana, "POST", "/labels/redo", status=409)["error"]["code"] == "nothing-to-redo"


def test_an_earlier_action_is_undone_alone(ana: Ana) -> None:
    ids = shapes(ana)
    first = change(ana, (ids["circle/0.png"], "cross"), (ids["circle/1.png"], "cross"))["batch_id"]
    change(ana, (ids["circle/1.png"], "square"))

    call(ana, "POST", "/labels/undo", {"batch_id": first})

    assert (labels(ana)["circle/0.png"], labels(ana)["circle/1.png"]) == ("circle", "square")
    undone = call(ana, "GET", f"/labels/changes?batch_id={first}")["items"]
    assert [(entry["undone_by"], entry["undone_at"] is None) for entry in undone] == [("owner", False)] * 2


def test_the_same_label_again_is_no_change(ana: Ana) -> None:
    ids = shapes(ana)

    assert change(ana, (ids["circle/0.png"], "circle")) == {
        "batch_id": None,
        "message": "Nothing to change.",
        "changed": 0,
        "unchanged": 1,
    }
    assert call(ana, "POST", "/labels/undo", status=409)["error"]["code"] == "nothing-to-undo"


def test_a_label_that_somebody_has_confirmed_is_recorded_and_holds_whatever_the_rule_says(ana: Ana) -> None:
    ids = shapes(ana)
    body = {"changes": [{"image_id": ids["circle/0.png"], "label": "circle", "confirmed": True}]}

    answer = call(ana, "PATCH", "/labels", body)

    assert (answer["changed"], answer["message"]) == (1, "“0.png” is confirmed as “circle”.")
    call(ana, "PUT", "/labels/rule", {"rule": {"kind": "folder", "level": 2}})
    assert {labels(ana)["circle/0.png"], labels(ana)["circle/1.png"]} == {"circle", "shapes"}
    call(ana, "POST", "/labels/undo", {"batch_id": answer["batch_id"]})
    assert labels(ana)["circle/0.png"] == "shapes"


def test_changes_by_hand_survive_another_rule_new_uploads_and_a_deletion(ana: Ana) -> None:
    ids = shapes(ana)
    change(ana, (ids["circle/0.png"], "ring"), (ids["circle/1.png"], "ring"))
    content = encode(draw("circle", 0, 24))

    deleted = ana.client.request(
        "DELETE", f"/api/v1/datasets/{ana.dataset_id}/images", json={"ids": [ids["circle/0.png"]]}
    )
    assert deleted.status_code == 200
    ana.bring({"shapes/circle/again.png": content, "new.png": encode(draw("cross", 77))})
    call(ana, "PUT", "/labels/rule", {"rule": {"kind": "folder", "level": 2}})

    assert {path: label for path, label in labels(ana).items() if label == "ring"} == {
        "circle/1.png": "ring",
        "circle/again.png": "ring",
    }
    assert ana.preview({"kind": "folder", "level": 2})["overrides"]["labelled"] == 2


def test_an_unknown_picture_changes_nothing(ana: Ana) -> None:
    ids = shapes(ana)
    changes = [{"image_id": ids["circle/0.png"], "label": "x"}, {"image_id": "f" * 32, "label": "x"}]

    answer = call(ana, "PATCH", "/labels", {"changes": changes}, 404)

    assert answer["error"]["code"] == "image-not-found"
    assert answer["error"]["details"]["image_ids"] == ["f" * 32]
    assert labels(ana)["circle/0.png"] == "circle"


def test_a_label_that_somebody_else_has_changed_meanwhile_is_kept(ana: Ana) -> None:
    ids = shapes(ana)
    change(ana, (ids["circle/0.png"], "ring"))

    mine = {"image_id": ids["circle/0.png"], "label": "disc", "before": "circle"}
    answer = call(ana, "PATCH", "/labels", {"changes": [mine]}, 409)

    assert answer["error"]["code"] == "label-changed"
    assert answer["error"]["message"] == "owner has changed this picture to “ring” in the meantime."
    assert labels(ana)["circle/0.png"] == "ring"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"changes": []},
        {"changes": [1, 2]},
        {"changes": [{"image_id": "x"}]},
        {"changes": [{"image_id": "x", "label": 3}]},
        {"select": {"show": "all"}},
        {"select": {"show": "some"}, "label": "x"},
    ],
)
def test_a_wrong_body_is_refused(ana: Ana, body: Json) -> None:
    assert call(ana, "PATCH", "/labels", body, 422)["error"]["message"]


def test_a_label_without_a_sign_is_refused(ana: Ana) -> None:
    ids = shapes(ana)

    answer = call(ana, "PATCH", "/labels", {"changes": [{"image_id": ids["circle/0.png"], "label": " \n"}]}, 422)

    assert answer["error"]["code"] == "label-empty"


def test_more_changes_than_other_requests_have_parts_are_one_action(ana: Ana) -> None:
    ids = shapes(ana, 1)

    answer = change(ana, *[(ids["circle/0.png"], f"name {number}") for number in range(1_500)])

    assert answer["changed"] == 1
    assert labels(ana)["circle/0.png"] == "name 1499"


# Many at once


def test_all_that_a_filter_shows_get_one_label(ana: Ana) -> None:
    ids = shapes(ana)
    ana.bring({"stray 1.png": encode(draw("circle", 90)), "stray 2.png": encode(draw("circle", 91))})
    change(ana, (ids["cross/0.png"], None))

    answer = call(ana, "PATCH", "/labels", {"select": {"show": "unlabelled"}, "label": "ring"})

    assert answer["message"] == "2 pictures are now “ring”."
    assert {path for path, label in labels(ana).items() if label == "ring"} == {"stray 1.png", "stray 2.png"}
    assert call(ana, "PATCH", "/labels", {"select": {"class": "circle"}, "label": None})["changed"] == 3
    assert call(ana, "PATCH", "/labels", {"select": {"folder": "shapes/square"}, "label": "box"})["changed"] == 3


def test_classes_are_merged_without_touching_files(ana: Ana) -> None:
    ids = shapes(ana)
    change(ana, (ids["circle/0.png"], "kross"))
    before = labels(ana)

    answer = call(ana, "POST", "/labels/classes", {"classes": ["kross", "square"], "to": "cross"})

    assert answer["message"] == "“kross”, “square” are merged into “cross”: 4 pictures."
    assert sorted(labels(ana).values()) == ["circle"] * 2 + ["cross"] * 7
    ana.bring({"shapes/square/later.png": encode(draw("square", 55))})
    assert labels(ana).pop("square/later.png") == "cross"
    call(ana, "POST", "/labels/undo")
    assert labels(ana) == before | {"square/later.png": "square"}


def test_a_renamed_class_is_renamed_back(ana: Ana) -> None:
    shapes(ana)

    call(ana, "POST", "/labels/classes", {"classes": ["circle"], "to": "ring"})
    call(ana, "POST", "/labels/classes", {"classes": ["ring"], "to": "circle"})

    assert set(labels(ana).values()) == {"circle", "cross", "square"}
    assert ana.preview(FOLDER)["overrides"]["classes"] == {}


def test_a_class_is_left_out(ana: Ana) -> None:
    shapes(ana)

    call(ana, "POST", "/labels/classes", {"classes": ["circle"], "to": None})

    assert sorted(labels(ana).values()) == ["-"] * 3 + ["cross"] * 3 + ["square"] * 3


def test_a_class_that_no_picture_has_is_refused(ana: Ana) -> None:
    shapes(ana)

    answer = call(ana, "POST", "/labels/classes", {"classes": ["circles"], "to": "ring"}, 422)

    assert answer["error"]["code"] == "class-unknown"


# Versions


def test_a_version_freezes_what_was_changed_by_hand(ana: Ana) -> None:
    ids = shapes(ana)
    change(ana, (ids["circle/0.png"], "cross"), (ids["circle/1.png"], None))
    call(ana, "POST", "/labels/classes", {"classes": ["square"], "to": "box"})
    version = ana.freeze(FOLDER)

    call(ana, "POST", "/labels/undo")
    change(ana, (ids["circle/0.png"], "other"))

    frozen = ana.client.get(f"/api/v1/versions/{version['id']}").json()
    assert frozen["classes"] == ["box", "circle", "cross"]
    assert sum(sum(sides.values()) for sides in frozen["counts"].values()) == 8
    assert frozen["overrides"] == [
        {"class": "square", "label": "box"},
        {"image_id": ids["circle/0.png"], "path": "shapes/circle/0.png", "label": "cross"},
        {"image_id": ids["circle/1.png"], "path": "shapes/circle/1.png", "label": None},
    ]
    listed = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/versions").json()["items"][0]
    assert (listed["overrides"], listed["override_count"]) == (None, 3)


def test_labels_by_hand_alone_make_a_version(ana: Ana) -> None:
    ana.bring({f"{number}.png": encode(draw("circle", number)) for number in range(4)})
    change(ana, *[(image["id"], "odd" if int(image["path"][0]) % 2 else "even") for image in ana.images()])

    version = ana.freeze({"kind": "list", "labels": {}})

    assert version["classes"] == ["even", "odd"]


# As CSV


def test_our_own_csv_gives_the_same_labels_again(ana: Ana) -> None:
    ids = shapes(ana)
    ana.bring({"=1+1.png": encode(draw("circle", 90)), "stray.png": encode(draw("circle", 91))})
    hostile = ["=cmd|'/c calc'!A1", "+1", "@x", "-0.52", "'=x", "a,b;c", "Käse"]
    paths = [path for path in ids if not path.startswith("square")]
    change(ana, *[(ids[path], label) for path, label in zip(paths, hostile, strict=False)])
    change(ana, (ids["square/0.png"], None))
    exported = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/labels.csv")
    before = exported.content

    for image in ana.images():
        change(ana, (image["id"], "something else"))
    answer = send_csv(ana, before)

    assert ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/labels.csv").content == before
    assert (answer["rows"], answer["rows_without_image"]["count"], answer["images_without_row"]["count"]) == (11, 0, 0)
    assert send_csv(ana, before)["changed"] == 0
    cells = {row[0]: row[1] for row in csv.reader(io.StringIO(before.decode("utf-8-sig")))}
    assert {label for label in cells.values() if label[:1] in ("'", "-", "+")} == {
        "'=cmd|'/c calc'!A1", "+1", "'@x", "-0.52", "''=x",
    }  # fmt: skip
    assert "'=1+1.png" in cells


def test_a_table_with_misses_is_taken_and_reported(ana: Ana) -> None:
    shapes(ana)

    answer = send_csv(ana, "Bild;Klasse\r\n0.png;weg\r\ncircle/0.png;Käse\r\nfehlt.png;Käse\r\n".encode("cp1252"))

    assert answer["message"] == "“0.png” is now “Käse”."
    assert answer["rows_without_image"] == {"count": 1, "examples": ["fehlt.png"]}
    assert answer["ambiguous"] == {"count": 1, "examples": ["0.png"]}
    assert answer["images_without_row"]["count"] == 8
    assert labels(ana)["circle/0.png"] == "Käse"
    report = ana.client.post(
        f"/api/v1/datasets/{ana.dataset_id}/labels.csv?report=true",
        content=b"name,label\nfehlt.png,a\ncircle/1.png,b\n",
    )
    rows = report.content.decode("utf-8-sig").splitlines()
    assert rows[:2] == ["name,problem", "fehlt.png,no picture of this name"]
    assert len(rows) == 1 + 1 + 8
    assert labels(ana)["circle/1.png"] == "circle"


def test_a_table_among_the_files_gives_its_labels(ana: Ana) -> None:
    ana.bring(
        {"1.png": encode(draw("circle", 1)), "2.png": encode(draw("circle", 2)), "labels.csv": b"1.png,a\n2.png,b\n"}
    )

    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels.csv?table=labels.csv")

    assert answer.json()["changed"] == 2
    assert labels(ana) == {"1.png": "a", "2.png": "b"}
    assert send_csv(ana, b"", 422)["error"]["message"] == "labels.csv is empty."


def test_the_ledger_is_a_csv_and_comes_in_pages(ana: Ana) -> None:
    ids = shapes(ana)
    for number in range(3):
        change(ana, (ids["circle/0.png"], f"=name {number}"))

    first = call(ana, "GET", "/labels/changes?limit=2")
    rest = call(ana, "GET", f"/labels/changes?limit=2&after={first['next']}")

    assert [entry["after"] for entry in first["items"] + rest["items"]] == ["=name 2", "=name 1", "=name 0"]
    assert rest["next"] is None
    of_image = call(ana, "GET", f"/labels/changes?image_id={ids['cross/0.png']}")
    assert of_image["items"] == []
    text = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/labels/changes.csv").text
    assert text.splitlines()[1].startswith("shapes/circle/0.png,,'=name 1,'=name 2,,owner,")
