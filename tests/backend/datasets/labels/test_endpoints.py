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
        (("a/1.png", "a/2.png"), "one-class"),
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


def test_it_reads_a_table_and_says_how(ana: Ana) -> None:
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
def test_it_says_what_is_wrong_with_a_rule(ana: Ana, rule: Json, code: str) -> None:
    ana.bring_shapes(2)

    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/preview", json={"rule": rule})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_hostile_names_come_back_as_they_are(ana: Ana) -> None:
    ana.bring(numbered("<img src=x onerror=alert(1)>/1.png", "b/2.png"))

    assert ana.preview({"kind": "folder"})["classes"][0]["name"] == "<img src=x onerror=alert(1)>"


# Suggestions


def suggestions(ana: Ana, labels: dict[str, str] | None = None) -> list[Json]:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/suggestions", json={"labels": labels})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["items"]
    return found


def test_it_thinks_that_the_folder_says_it(ana: Ana) -> None:
    ana.bring_shapes(5)

    best = suggestions(ana)[0]

    assert best["rule"] == {"kind": "folder", "level": 1}
    assert best["words"] == "the folder the picture is in, because 15 of 15 fit"
    assert best["preview"]["labelled"] == 15


def test_it_thinks_that_the_file_name_says_it(ana: Ana) -> None:
    breeds = ("Maine_Coon", "pug", "Bengal")
    ana.bring(numbered(*(f"images/{breed}_{number}.jpg" for breed in breeds for number in range(5))))

    best = suggestions(ana)[0]

    assert best["rule"] == {"kind": "pattern", "pattern": r"/([^/]+)_\d+\.jpg$"}
    assert [found["name"] for found in best["preview"]["classes"]] == ["Bengal", "Maine_Coon", "pug"]


def test_it_sees_folders_of_a_split(ana: Ana) -> None:
    ana.bring(numbered(*(f"{side}/{digit}/{n}.png" for side in ("train", "valid") for digit in "37" for n in range(4))))

    best = suggestions(ana)[0]

    assert best["rule"] == {"kind": "folder", "level": 1}
    assert best["split"]["kind"] == "folder"
    assert [(found["train"], found["valid"]) for found in best["preview"]["classes"]] == [(4, 4), (4, 4)]


def test_it_follows_labels_that_are_given(ana: Ana) -> None:
    ana.bring(
        numbered(*(f"{day}/{kind}_{n}.png" for day in ("mon", "tue") for kind in ("cat", "dog") for n in range(4)))
    )

    assert suggestions(ana, {"mon/cat_0.png": "cat"})[0]["rule"]["kind"] == "pattern"
    assert suggestions(ana, {"mon/cat_0.png": "mon"})[0]["rule"] == {"kind": "folder", "level": 1}


def test_it_has_nothing_to_say_about_nothing(ana: Ana) -> None:
    assert suggestions(ana) == []


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
        (("a/1.png", "a/2.png"), "one-class"),
        (("1.png",), "one-class"),
        (("a/1.png", "b/2.png"), "split-without-validation"),
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
