import io
import threading

import numpy as np
import pytest
from PIL import Image

from backend.datasets.manifests import manifest
from backend.dependencies import Services
from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode


def codes(preview: Json) -> list[str]:
    return [warning["code"] for warning in preview["warnings"]]


def numbered(*names: str) -> dict[str, bytes]:
    return {name: encode(draw("circle", number, 16)) for number, name in enumerate(names)}


# The preview


def test_it_shows_classes_with_counts_and_faces(ana: Ana) -> None:
    ana.bring_shapes(10)
    ana.bring(numbered("stray.png"))

    preview = ana.preview({"kind": "folder"})

    assert [(found["name"], found["images"]) for found in preview["classes"]] == [
        ("circle", 10),
        ("cross", 10),
        ("square", 10),
    ]
    first = preview["classes"][0]
    assert first["train"] + first["valid"] == 10
    assert first["valid"] >= 1
    assert len(first["examples"]) == 4
    assert ana.client.get(first["examples"][0]["thumbnail_url"]).status_code == 200
    assert preview["labelled"] == 30
    assert [image["path"] for image in preview["unlabelled"]["examples"]] == ["stray.png"]
    assert ana.dataset()["versions"] == 0


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("a/1.png", "a/2.png"), "one-class-only"),
        (("a/1.png", "a/2.png", "A/3.png", "A/4.png"), "similar-names"),
        (("a/1.png", "a/2.png", "b/3.png"), "single-image-class"),
        (("a/1.png", "a/2.png", "b/3.png", "b/4.png"), "few-images"),
        (("a/1.png", "b/2.png", "c/3.png"), "one-class-per-image"),
        (("1.png", "2.png"), "no-labels"),
        (tuple(f"a/{n}.png" for n in range(20)) + ("b/1.png", "b/2.png"), "dominating-class"),
    ],
)
def test_it_warns(ana: Ana, names: tuple[str, ...], code: str) -> None:
    ana.bring(numbered(*names))

    assert code in codes(ana.preview({"kind": "folder"}))


def test_it_warns_of_copies_with_other_labels(ana: Ana) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"cat/1.png": picture, "dog/1.png": picture})

    preview = ana.preview({"kind": "folder"})

    assert "label-conflict" in codes(preview)
    assert [found["name"] for found in preview["classes"]] == ["cat"]


def test_it_reads_a_table_and_shows_how(ana: Ana) -> None:
    ana.bring(numbered("a/1.png", "a/2.png", "a/3.png", "a/4.png", "a/5.png"))
    table = "Bild;Klasse\r\n1.png;Käse\r\n2.png;Brot\r\n3.png;Brot\r\n4.png;Käse\r\nweg.png;Brot\r\n"
    ana.bring({"etiketten.csv": table.encode("cp1252")})

    preview = ana.preview({"kind": "csv"})

    assert {found["name"]: found["images"] for found in preview["classes"]} == {"Brot": 2, "Käse": 2}
    assert {key: preview["table"][key] for key in ("delimiter", "image_column", "label_column", "rows")} == {
        "delimiter": ";",
        "image_column": "Bild",
        "label_column": "Klasse",
        "rows": 5,
    }
    assert {"rows-without-image", "images-without-row"} <= set(codes(preview))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_it_reads_tables_of_every_program(ana: Ana, encoding: str, delimiter: str) -> None:
    ana.bring(numbered("1.png", "2.png"))
    lines = [("name", "label"), ("1.png", "Käse, alt" if delimiter != "," else "Käse"), ("2.png", "Brot")]
    ana.bring({"labels.csv": "\n".join(delimiter.join(line) for line in lines).encode(encoding)})

    assert {found["name"] for found in ana.preview({"kind": "csv"})["classes"]} == {lines[1][1], "Brot"}


def test_it_splits_by_the_column_of_the_same_table(ana: Ana) -> None:
    ana.bring(numbered("1.png", "2.png", "3.png", "4.png"))
    ana.bring({"labels.csv": b"name,label,is_valid\n1.png,a,False\n2.png,b,True\n3.png,a,True\n4.png,b,False\n"})

    preview = ana.preview({"kind": "csv"}, {"kind": "csv", "column": "is_valid"})

    assert [(found["train"], found["valid"]) for found in preview["classes"]] == [(1, 1), (1, 1)]


def test_one_column_for_each_class_is_read_as_classes(ana: Ana) -> None:
    ana.bring(numbered(*(f"ISIC_{n:03}.jpg" for n in range(6))))
    rows = "".join(f"ISIC_{n:03},{float(n % 3 == 0)},{float(n % 3 == 1)},{float(n % 3 == 2)}\n" for n in range(6))
    ana.bring({"truth.csv": f"image,MEL,NV,BCC\n{rows}".encode()})

    preview = ana.preview({"kind": "csv"})

    assert {found["name"]: found["images"] for found in preview["classes"]} == {"BCC": 2, "MEL": 2, "NV": 2}
    assert preview["table"]["label_columns"] == ["MEL", "NV", "BCC"]


def test_several_labels_in_a_cell_are_told(ana: Ana) -> None:
    ana.bring(numbered(*(f"{n}.jpg" for n in range(4))))
    ana.bring({"tags.csv": b"image,tags\n0,haze primary\n1,clear primary\n2,clear primary water\n3,haze water\n"})

    assert "several-labels" in codes(ana.preview({"kind": "csv"}))


def test_a_table_names_the_pictures_in_the_folder_called_like_it(ana: Ana) -> None:
    ana.bring(numbered(*(f"{side}/{n}.jpg" for side in ("train", "test") for n in range(4))))
    ana.bring({"train.csv": b"id,label\n0,cat\n1,cat\n2,dog\n3,dog\n"})

    preview = ana.preview({"kind": "csv"})

    assert preview["labelled"] == 4
    assert [image["path"] for image in preview["unlabelled"]["examples"]] == [f"test/{n}.jpg" for n in range(4)]


def test_a_name_that_fits_several_pictures_is_told(ana: Ana) -> None:
    ana.bring(numbered("a/1.jpg", "b/1.jpg", "a/2.jpg", "b/3.jpg"))
    ana.bring({"labels.csv": b"name,label\n1.jpg,cat\n2.jpg,cat\n3.jpg,dog\n"})

    preview = ana.preview({"kind": "csv"})

    assert preview["labelled"] == 2
    message = next(found["message"] for found in preview["warnings"] if found["code"] == "table-names-ambiguous")
    assert message == (
        "1 name in the table fits several pictures, such as “1.jpg”: a/1.jpg and b/1.jpg. They get no label."
    )


def test_classes_can_be_left_out(ana: Ana) -> None:
    ana.bring(numbered(*(f"{n}.jpg" for n in range(6))))
    ana.bring({"labels.csv": b"name,label\n0,cat\n1,cat\n2,dog\n3,dog\n4,Not sure\n5,Skip\n"})

    preview = ana.preview({"kind": "csv", "leave_out": ["not sure", "Skip"]})

    assert [found["name"] for found in preview["classes"]] == ["cat", "dog"]
    assert "left-out" in codes(preview)


def test_a_copy_with_a_label_that_is_left_out_keeps_its_other_one(ana: Ana) -> None:
    ana.bring(numbered(*(f"{kind}/{n}.jpg" for kind in ("cat", "dog") for n in range(4))))
    copied, skipped = encode(draw("square", 90, 16)), encode(draw("square", 91, 16))
    ana.bring({"Skip/8.jpg": copied, "cat/8.jpg": copied, "Skip/9.jpg": skipped, "9.jpg": skipped})

    preview = ana.preview({"kind": "folder", "leave_out": ["skip"]})

    assert [(found["name"], found["images"]) for found in preview["classes"]] == [("cat", 5), ("dog", 4)]
    assert [image["path"] for image in preview["unlabelled"]["examples"]] == ["9.jpg"]
    messages = {found["code"]: found["message"] for found in preview["warnings"]}
    assert messages["left-out"] == "1 picture has a label that you leave out."
    assert "label-conflict" not in messages


def test_a_class_of_one_side_only_is_told(ana: Ana) -> None:
    ana.bring(numbered(*(f"train/{kind}/{n}.png" for kind in "abd" for n in range(4))))
    ana.bring(
        {
            f"valid/{kind}/{n}.png": encode(draw("cross", 100 + ord(kind) + n, 16))
            for kind in "abc"
            for n in range(0, 90, 30)
        }
    )

    warned = {found["code"]: found for found in ana.preview({"kind": "folder"}, {"kind": "folder"})["warnings"]}

    assert warned["class-without-training"]["classes"] == ["c"]
    assert warned["class-without-validation"]["classes"] == ["d"]


def test_groups_are_counted(ana: Ana) -> None:
    ana.bring(numbered(*(f"{kind}/p{n // 2}_{n}.png" for kind in "ab" for n in range(8))))

    preview = ana.preview({"kind": "folder"}, {"kind": "random", "group": r"/(p\d+)_"})

    assert preview["groups"] == {"count": 4, "smallest": 4, "largest": 4}
    assert "groups" in codes(preview)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"kind": "pattern", "pattern": "/([^/]+"}, "label-rule-invalid"),
        ({"kind": "pattern", "pattern": "(?=a)b"}, "label-rule-invalid"),
        ({"kind": "expression", "expression": "nosuch"}, "label-rule-invalid"),
        ({"kind": "csv", "file": "nosuch.csv"}, "label-rule-invalid"),
        ({"kind": "list", "labels": ["a"]}, "label-rule-invalid"),
        ({"kind": "folder", "level": 0}, "invalid-input"),
        ({"kind": "magic"}, "invalid-input"),
    ],
)
def test_it_shows_what_is_wrong_with_a_rule(ana: Ana, rule: Json, code: str) -> None:
    ana.bring_shapes(2)

    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/preview", json={"rule": rule})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_hostile_names_come_back_as_they_are(ana: Ana) -> None:
    ana.bring(numbered("<img src=x onerror=alert(1)>/1.png", "b/2.png"))

    assert ana.preview({"kind": "folder"})["classes"][0]["name"] == "<img src=x onerror=alert(1)>"


# Versions


def test_it_freezes_a_version(ana: Ana) -> None:
    ana.bring_shapes(10)

    version = ana.freeze({"kind": "folder"}, {"kind": "random", "valid": 0.3, "seed": 7})

    assert (version["number"], version["classes"]) == (1, ["circle", "cross", "square"])
    assert sum(version["counts"]["circle"].values()) == 10
    assert version["rule"] == {"kind": "folder", "level": 1}
    assert version["split"]["valid"] == 0.3
    assert ana.client.get(f"/api/v1/versions/{version['id']}").json() == version
    assert (ana.dataset()["versions"], ana.dataset()["classes"]) == (1, 3)


def test_pictures_that_come_later_change_nothing(ana: Ana, services: Services) -> None:
    ana.bring_shapes(8)
    version = ana.freeze({"kind": "folder"})
    with services.database.read() as session:
        before = manifest(session, version["id"])
    ana.bring(numbered("shapes/circle/late.png", "shapes/star/1.png"))

    with services.database.read() as session:
        assert manifest(session, version["id"]) == before
    assert ana.freeze({"kind": "folder"})["number"] == 2


def test_the_manifest_is_ordered_by_digest_and_ignores_the_order_of_upload(ana: Ana, services: Services) -> None:
    other = ana.another()
    files = numbered(*(f"{label}/{n}.png" for label in "ab" for n in range(10)))
    ana.bring(files)
    other.bring(dict(reversed(files.items())))
    versions = [one.freeze({"kind": "folder"})["id"] for one in (ana, other)]

    with services.database.read() as session:
        first, second = (manifest(session, version) for version in versions)

    assert first.classes == ("a", "b")
    assert [image.digest for image in first.images] == sorted(image.digest for image in first.images)
    assert [(i.digest, i.label, i.split) for i in first.images] == [(i.digest, i.label, i.split) for i in second.images]


def test_a_new_version_keeps_what_the_last_one_held_out(ana: Ana, services: Services) -> None:
    ana.bring_shapes(10)
    first = ana.freeze({"kind": "folder"})
    ana.bring({f"shapes/circle/new{n}.png": encode(draw("circle", 500 + n, 16)) for n in range(10)})

    second = ana.freeze({"kind": "folder"})

    assert first["counts"]["circle"] == {"train": 8, "valid": 2, "test": 0}
    assert second["counts"]["circle"] == {"train": 16, "valid": 4, "test": 0}
    with services.database.read() as session:
        before, after = (manifest(session, version["id"]).images for version in (first, second))
    later = {image.id: image.split for image in after}
    assert all(later[image.id] is image.split for image in before)


def test_another_share_holds_out_what_was_asked_for(ana: Ana) -> None:
    ana.bring_shapes(15)
    ana.freeze({"kind": "folder"}, {"kind": "random", "valid": 0.2})

    version = ana.freeze({"kind": "folder"}, {"kind": "random", "valid": 0.3})

    assert [sides["valid"] for sides in version["counts"].values()] == [5, 5, 5]


def test_pictures_that_would_change_sides_after_a_training_are_told(ana: Ana) -> None:
    ana.bring_shapes(10)
    version = ana.freeze({"kind": "folder"})
    config = {"image_size": 64, "stages": [{"freeze": True, "epochs": 1, "max_lr": 0.002}]}
    ordered = ana.client.post("/api/v1/runs", json={"version_id": version["id"], "config": config})
    assert ordered.status_code == 201, ordered.text

    same = ana.preview({"kind": "folder"}, {"kind": "random"})
    anew = ana.preview({"kind": "folder"}, {"kind": "random", "seed": 7})

    assert not {"held-out-moved", "learnt-held-out"} & {*codes(same)}
    reported = {found["code"]: found["message"] for found in anew["warnings"]}
    assert "held out in version 1 would now be learnt from" in reported["held-out-moved"]
    assert "trainings of version 1 have learnt from" in reported["learnt-held-out"]


def test_numbers_never_collide(ana: Ana) -> None:
    ana.bring_shapes(4)
    made: list[int] = []

    threads = [threading.Thread(target=lambda: made.append(ana.freeze({"kind": "folder"})["number"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == [1, 2, 3, 4]
    listed = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/versions").json()["items"]
    assert [version["number"] for version in listed] == [4, 3, 2, 1]


def test_the_same_key_freezes_once(ana: Ana) -> None:
    ana.bring_shapes(4)
    address = f"/api/v1/datasets/{ana.dataset_id}/versions"

    answers = [
        ana.client.post(address, json={"rule": {"kind": "folder"}}, headers={"Idempotency-Key": "k1"}).json()
        for _ in range(2)
    ]

    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("a/1.png", "a/2.png"), "one-class-only"),
        (("1.png",), "one-class-only"),
        (("a/1.png", "b/2.png"), "no-validation-images"),
    ],
)
def test_it_freezes_nothing_that_cannot_be_learnt(ana: Ana, names: tuple[str, ...], code: str) -> None:
    ana.bring(numbered(*names))

    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/versions", json={"rule": {"kind": "folder"}})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert ana.dataset()["versions"] == 0


def test_it_knows_no_version_of_another_id(ana: Ana) -> None:
    assert ana.client.get("/api/v1/versions/nosuch").status_code == 404
    assert ana.client.get("/api/v1/versions/nosuch/batch").status_code == 404
    assert ana.client.get("/api/v1/datasets/nosuch/versions").status_code == 404


# The batch


def batch(ana: Ana, version: Json, query: str = "") -> list[Json]:
    found: list[Json] = ana.client.get(f"/api/v1/versions/{version['id']}/batch?{query}").json()["items"]
    return found


def test_it_shows_nine_as_the_network_sees_them(ana: Ana) -> None:
    ana.bring_shapes(8)
    version = ana.freeze({"kind": "folder"})

    nine = batch(ana, version, "size=96")

    assert len(nine) == 9
    assert len({item["image_id"] for item in nine}) == 9
    answer = ana.client.get(nine[0]["url"])
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (96, 96)


def test_another_nine_each_time_and_the_same_by_the_same_seed(ana: Ana) -> None:
    ana.bring_shapes(20)
    version = ana.freeze({"kind": "folder"})

    assert batch(ana, version) != batch(ana, version)
    assert batch(ana, version, "seed=5") == batch(ana, version, "seed=5")


def test_augmentation_changes_pixels_and_a_seed_fixes_them(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    image = batch(ana, version)[0]["image_id"]

    def pixels(query: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        content = ana.client.get(f"/api/v1/versions/{version['id']}/batch/{image}.png?size=64&{query}").content
        return np.asarray(Image.open(io.BytesIO(content)))

    assert np.array_equal(pixels("seed=1"), pixels("seed=1"))
    assert not np.array_equal(pixels("seed=1"), pixels("seed=2"))
    assert np.array_equal(pixels("seed=1&augmented=false"), pixels("seed=2&augmented=false"))


def test_it_shows_no_image_of_elsewhere(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})

    assert ana.client.get(f"/api/v1/versions/{version['id']}/batch/nosuch.png").status_code == 404
    assert ana.client.get(f"/api/v1/versions/{version['id']}/batch?n=0").status_code == 422
    assert ana.client.get(f"/api/v1/versions/{version['id']}/batch?size=5000").status_code == 422
