"""A version as a ZIP: what is in it, and that it comes back as it was."""

import io
import json
import zipfile
from collections.abc import Mapping

from starlette.testclient import TestClient

from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import CLASSES, draw, encode

FOLDERS = {"kind": "folder", "level": 1}
AT_RANDOM = {"kind": "random", "valid": 0.25, "test": 0.25, "seed": 3}


def exported(ana: Ana, version: Json) -> zipfile.ZipFile:
    answer = ana.client.get(f"/api/v1/versions/{version['id']}/export")
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    return zipfile.ZipFile(io.BytesIO(answer.content))


def facts(archive: zipfile.ZipFile) -> Json:
    return json.loads(archive.read("tellapart.json"))


def labels_and_sides(known: Json) -> dict[str, tuple[str, str]]:
    return {image["sha256"]: (image["label"], image["split"]) for image in known["images"]}


def brought_back(ana: Ana, archive: Mapping[str, bytes]) -> Json:
    """The facts of the version that the first suggestion gives for another dataset of these files."""
    other = ana.another()
    other.bring(archive)
    answer = ana.client.post(f"/api/v1/datasets/{other.dataset_id}/labels/suggestions", json={})
    best = answer.json()["items"][0]
    return facts(exported(other, other.freeze(best["rule"], best["split"])))


def files_of(archive: zipfile.ZipFile) -> dict[str, bytes]:
    return {name: archive.read(name) for name in archive.namelist()}


def test_every_picture_lies_in_the_folder_of_its_side_and_class_byte_for_byte(ana: Ana) -> None:
    pictures = {f"{shape}/{number}.png": encode(draw(shape, number, 24)) for shape in CLASSES for number in range(8)}
    ana.bring(pictures)
    version = ana.freeze(FOLDERS, AT_RANDOM)

    archive = exported(ana, version)

    files = [name for name in archive.namelist() if name != "tellapart.json"]
    assert len(files) == 24
    assert sorted({name.rpartition("/")[0] for name in files}) == [
        f"{side}/{shape}" for side in ("test", "train", "valid") for shape in CLASSES
    ]
    assert sum(name.startswith("train/") for name in files) == 12
    assert sorted(archive.read(name) for name in files) == sorted(pictures.values())
    assert archive.testzip() is None


def test_what_is_known_of_the_version_is_in_it(ana: Ana) -> None:
    ana.bring_shapes(8)
    version = ana.freeze(FOLDERS, AT_RANDOM)

    known = facts(exported(ana, version))

    assert known["format"] == "tellapart-dataset"
    assert known["dataset"]["name"] == "Pets"
    assert (known["version"]["id"], known["version"]["number"]) == (version["id"], 1)
    assert known["classes"] == ["circle", "cross", "square"]
    assert known["rule"] == FOLDERS
    assert known["split"] == AT_RANDOM | {"stratified": True}
    assert known["counts"]["circle"] == {"train": 4, "valid": 2, "test": 2}
    assert known["sample"] is None
    assert known["images"][0].keys() == {"file", "sha256", "label", "split", "path"}
    assert all(image["path"].startswith(f"shapes/{image['label']}/") for image in known["images"])


def test_brought_in_again_it_gives_the_same_labels_and_split(ana: Ana) -> None:
    ana.bring_shapes(8)
    archive = exported(ana, ana.freeze(FOLDERS, AT_RANDOM))

    again = brought_back(ana, files_of(archive))

    assert labels_and_sides(again) == labels_and_sides(facts(archive))
    assert again["classes"] == ["circle", "cross", "square"]


def test_classes_that_are_no_names_of_folders_come_back_as_they_were(ana: Ana) -> None:
    hostile = ("test", "../up", "<img src=x>", "Cat", "cat")
    pictures = {f"{number}.png": encode(draw("circle", number, 24)) for number in range(40)}
    ana.bring(pictures)
    labels = {f"{number}.png": hostile[number % 5] for number in range(40)}
    archive = exported(ana, ana.freeze({"kind": "list", "labels": labels}, AT_RANDOM))

    again = brought_back(ana, files_of(archive))

    assert labels_and_sides(again) == labels_and_sides(facts(archive))
    assert facts(archive)["folders"] == {
        "../up": "_up",
        "<img src=x>": "_img src=x_",
        "Cat": "Cat",
        "cat": "cat-2",
        "test": "test",
    }
    assert not any(".." in name.split("/") for name in archive.namelist())


def test_the_folders_alone_give_the_same_too(ana: Ana) -> None:
    ana.bring_shapes(8)
    archive = exported(ana, ana.freeze(FOLDERS, AT_RANDOM))
    files = files_of(archive)
    del files["tellapart.json"]

    assert labels_and_sides(brought_back(ana, files)) == labels_and_sides(facts(archive))


def test_pictures_of_one_name_are_kept_apart(ana: Ana) -> None:
    ana.bring({f"{folder}/cat/1.jpg": encode(draw("cross", number, 24)) for number, folder in enumerate("abcd")})
    ana.bring({f"{folder}/dog/1.jpg": encode(draw("circle", number, 24)) for number, folder in enumerate("abcd")})

    names = exported(ana, ana.freeze(FOLDERS, {"kind": "random", "valid": 0.25, "seed": 1})).namelist()

    assert len(set(names)) == 9
    assert "train/cat/1-3.jpg" in names


def test_a_file_that_got_lost_is_reported_before_anything_is_sent(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze(FOLDERS)
    lost = facts(exported(ana, version))["images"][0]["sha256"]
    ana.services.storage.delete_blob(lost)

    answer = ana.client.get(f"/api/v1/versions/{version['id']}/export")

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "pictures-missing"
    assert answer.json()["error"]["details"] == {"missing": 1, "images": 12}


def test_an_unknown_version_is_not_found(client: TestClient) -> None:
    answer = client.get("/api/v1/versions/0193a1b2c3d47e8f9a0b1c2d3e4f5a6b/export")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "version-not-found")


def test_the_same_version_gives_the_same_list_of_files(ana: Ana) -> None:
    ana.bring_shapes(4)
    version = ana.freeze(FOLDERS)

    assert files_of(exported(ana, version)) == files_of(exported(ana, version))
