"""The labels that pictures of an earlier version have today, and what its classes are called by now."""

from collections.abc import Mapping

from backend.datasets.labels.today import labels_today, names_today
from backend.datasets.versions import find_version
from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

FOLDER = {"kind": "folder"}


def today(ana: Ana, version: Json) -> tuple[Mapping[str, str | None], dict[str, str]]:
    """Labels by path, and names of classes."""
    paths = {image["id"]: image["path"] for image in ana.images()}
    with ana.services.database.read() as session:
        row = find_version(session, version["id"])
        labels = labels_today(session, ana.services.storage, row)
        return {paths[image_id]: label for image_id, label in labels.items()}, names_today(session, row, labels)


def relabel(ana: Ana, labels: Mapping[str, str | None]) -> None:
    ids = {image["path"]: image["id"] for image in ana.images()}
    changes = [{"image_id": ids[path], "label": label} for path, label in labels.items()]
    assert ana.client.patch(f"/api/v1/datasets/{ana.dataset_id}/labels", json={"changes": changes}).status_code == 200


def merge(ana: Ana, names: list[str], to: str) -> None:
    body = {"classes": names, "to": to}
    assert ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/classes", json=body).status_code == 200


def test_what_was_changed_by_hand_since_counts(ana: Ana) -> None:
    ana.bring_shapes(3)
    version = ana.freeze(FOLDER)
    relabel(ana, {"shapes/circle/0.png": "cross", "shapes/circle/1.png": None})

    labels, names = today(ana, version)

    assert (labels["shapes/circle/0.png"], labels["shapes/circle/1.png"]) == ("cross", None)
    assert (labels["shapes/circle/2.png"], labels["shapes/square/0.png"]) == ("circle", "square")
    assert names == {}


def test_a_renamed_class_and_one_that_was_merged_are_known_by_their_new_names(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze(FOLDER)
    merge(ana, ["circle"], "disc")
    merge(ana, ["cross"], "square")
    relabel(ana, {"shapes/circle/0.png": "square"})

    labels, names = today(ana, version)

    assert labels["shapes/circle/1.png"] == "disc"
    # One of four circles is no disc; the others show what the class is called.
    assert names == {"circle": "disc", "cross": "square"}


def test_a_class_that_was_split_up_has_no_new_name(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze(FOLDER)
    relabel(ana, {f"shapes/circle/{n}.png": "disc" if n < 2 else "loop" for n in range(4)})

    assert today(ana, version)[1] == {}


def test_another_rule_of_today_does_not_change_what_was_asked_then(ana: Ana) -> None:
    ana.bring_shapes(3)
    version = ana.freeze(FOLDER)
    pattern = {"kind": "pattern", "pattern": "/(\\d)\\.png$"}
    ana.client.put(f"/api/v1/datasets/{ana.dataset_id}/labels/rule", json={"rule": pattern})

    assert today(ana, version)[0]["shapes/circle/0.png"] == "circle"


def test_where_the_rule_fits_no_more_the_frozen_labels_count(ana: Ana) -> None:
    ana.bring_shapes(2)
    version = ana.freeze({"kind": "list", "labels": ["a", "a", "b", "b", "b", "a"]})
    ana.bring({"new.png": encode(draw("circle", 99))})

    labels, names = today(ana, version)

    assert labels["shapes/circle/0.png"] == "a"
    assert names == {}
