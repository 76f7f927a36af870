"""What is found out about drawn pictures, and what one click does about it."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.backend.datasets.conftest import Ana
from tests.backend.datasets.health.conftest import Examine, act, finding, health_of
from tests.fixtures.pictures import draw, encode

FOLDERS = {"kind": "folder", "level": 1}
BY_FOLDER = {"kind": "folder"}


def scene(number: int, size: int = 160) -> Image.Image:
    """A picture with enough in it for copies to be proved: several shapes on a ground of patches."""
    noise = np.random.default_rng(number).integers(60, 200, (12, 12, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
    for at, shape in enumerate(("circle", "cross", "square", "circle")):
        part = draw(shape, 10 * number + at, size // 2)
        image.paste(part, (at % 2 * size // 2, at // 2 * size // 2))
    return image


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    return encode(image, "JPEG", quality=quality)


@pytest.fixture
def pets(ana: Ana) -> Ana:
    """Twelve scenes of two classes, in folders of both sides."""
    ana.bring(
        {
            f"{side}/{label}/{label}{number}.jpg": jpeg(scene(number + 100 * (label == "dog")))
            for label in ("cat", "dog")
            for number, side in enumerate(("train", "train", "train", "train", "valid", "valid"))
        }
    )
    return ana


def id_of(ana: Ana, path: str) -> str:
    [found] = [image["id"] for image in ana.images() if image["path"] == path]
    return str(found)


def test_a_clean_dataset_says_what_was_checked(pets: Ana, examine: Examine) -> None:
    pets.freeze(FOLDERS, BY_FOLDER)
    examine()

    health = health_of(pets)

    assert (health["status"], health["findings"]) == ("done", [])
    assert {"leak", "label_conflict", "near_duplicate", "dark", "mask"} <= {
        clean["kind"] for clean in health["checked"]
    }


def test_a_recompressed_copy_in_training_is_a_leak_that_one_click_moves(pets: Ana, examine: Examine) -> None:
    pets.bring({"train/cat/again.jpg": jpeg(scene(4), 40)})
    pets.freeze(FOLDERS, BY_FOLDER)
    examine()

    leak = finding(health_of(pets), "leak")
    done = act(pets, "leak", "move_to_training")

    assert leak["severity"] == "bad"
    assert set(leak["image_ids"]) == {id_of(pets, "train/cat/again.jpg"), id_of(pets, "valid/cat/cat4.jpg")}
    version = pets.client.get(f"/api/v1/versions/{done['version_id']}").json()
    assert version["counts"]["cat"] == {"train": 6, "valid": 1, "test": 0}
    assert finding(health_of(pets), "leak") is None


def test_a_picture_with_two_labels_is_found_and_relabelled_and_the_label_comes_back(
    pets: Ana, examine: Examine
) -> None:
    pets.bring({"train/dog/smaller.jpg": jpeg(scene(1).resize((100, 100)))})
    pets.freeze(FOLDERS, BY_FOLDER)
    examine()
    twin = id_of(pets, "train/dog/smaller.jpg")

    conflict = finding(health_of(pets), "label_conflict")
    done = act(pets, "label_conflict", "relabel", image_ids=[twin], label="cat")

    assert set(conflict["image_ids"]) == {twin, id_of(pets, "train/cat/cat1.jpg")}
    after = health_of(pets)
    assert (finding(after, "label_conflict"), after["unfrozen"]) == (None, 1)
    assert finding(after, "near_duplicate")["images"] == 2
    undone = pets.client.post(f"/api/v1/datasets/{pets.dataset_id}/labels/undo", json={"batch_id": done["batch_id"]})
    assert undone.status_code == 200
    assert finding(health_of(pets), "label_conflict")["images"] == 2


def test_names_with_different_labels_of_the_same_bytes_are_a_conflict(pets: Ana) -> None:
    pets.bring({"train/dog/same.jpg": jpeg(scene(1))})
    pets.freeze(FOLDERS, BY_FOLDER)

    health = health_of(pets)

    assert finding(health, "label_conflict:names")["image_ids"] == [id_of(pets, "train/cat/cat1.jpg")]
    assert finding(health, "exact_duplicate:bytes")["images"] == 1


def test_of_copies_the_largest_is_kept(pets: Ana, examine: Examine) -> None:
    pets.bring(
        {"train/cat/flipped.png": encode(scene(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((320, 320)))}
    )
    pets.freeze(FOLDERS, BY_FOLDER)
    examine()

    act(pets, "near_duplicate", "keep_one")

    labels = {
        image["path"]: image["label"] for image in pets.images("version=" + pets.freeze(FOLDERS, BY_FOLDER)["id"])
    }
    assert "train/cat/cat2.jpg" not in labels
    assert labels["train/cat/flipped.png"] == "cat"


def test_dark_blank_and_blurred_pictures_and_cut_files_are_found(pets: Ana) -> None:
    pets.bring(
        {
            "train/cat/dark.png": encode(scene(7).point(lambda value: value // 6)),
            "train/cat/blank.png": encode(Image.new("RGB", (64, 64), "grey")),
            "train/cat/blurred.png": encode(scene(8).filter(ImageFilter.GaussianBlur(6))),
            "train/cat/cut.jpg": jpeg(scene(9))[:900],
        }
    )

    health = health_of(pets)

    assert finding(health, "dark")["image_ids"] == [id_of(pets, "train/cat/dark.png")]
    assert finding(health, "blank")["image_ids"] == [id_of(pets, "train/cat/blank.png")]
    assert finding(health, "blurred")["image_ids"] == [id_of(pets, "train/cat/blurred.png")]
    assert [found["images"] for found in health["findings"] if found["kind"] == "truncated"] == [1]
    assert [image["path"] for image in pets.images("flag=dark")] == ["train/cat/dark.png"]


def test_what_still_shows_something_is_nearly_black_or_nearly_white_and_not_blank(pets: Ana) -> None:
    pets.bring(
        {
            "train/cat/black.png": encode(scene(7).point(lambda value: value // 32)),
            "train/cat/white.png": encode(scene(8).point(lambda value: 247 + value // 32)),
        }
    )

    health = health_of(pets)

    assert finding(health, "dark")["image_ids"] == [id_of(pets, "train/cat/black.png")]
    assert finding(health, "light")["image_ids"] == [id_of(pets, "train/cat/white.png")]
    assert [found["kind"] for found in health["findings"] if found["kind"] == "blank"] == []
    assert [image["path"] for image in pets.images("flag=light")] == ["train/cat/white.png"]
    assert pets.images("flag=blank") == []


def test_what_holds_for_more_than_a_tenth_is_one_sentence_about_the_set(ana: Ana) -> None:
    ana.bring({f"cat/{number}.png": encode(scene(number).point(lambda value: value // 6)) for number in range(8)})

    [dark] = health_of(ana)["findings"]

    assert (dark["kind"], dark["severity"], dark["actions"]) == ("dark", "note", ["see"])
    assert dark["message"] == "100 % of the pictures are dark: that is how this set is."


def test_groups_that_a_random_split_tears_apart_are_kept_together_on_request(ana: Ana) -> None:
    ana.bring(
        {
            f"{label}/patient{patient}_{number}.png": encode(scene(100 * patient + 10 * number + (label == "ill"), 64))
            for label, patients in (("ill", range(6)), ("well", range(6, 12)))
            for patient in patients
            for number in range(4)
        }
    )
    ana.freeze(FOLDERS)

    [group] = [found for found in health_of(ana)["findings"] if found["kind"] == "group"]
    done = act(ana, group["name"], "keep_together")

    sides: dict[str, set[str]] = {}
    for image in ana.images(f"version={done['version_id']}"):
        sides.setdefault(image["path"].split("_")[0], set()).add(image["split"])
    assert len(sides) == 12
    assert all(len(of_patient) == 1 for of_patient in sides.values())
    assert [found for found in health_of(ana)["findings"] if found["kind"] == "group"] == []


def test_a_class_in_another_format_is_given_away(ana: Ana) -> None:
    ana.bring({f"cat/{number}.jpg": jpeg(scene(number, 64)) for number in range(12)})
    ana.bring({f"dog/{number}.png": encode(scene(200 + number, 64)) for number in range(12)})
    ana.freeze(FOLDERS)

    [artifact] = [found for found in health_of(ana)["findings"] if found["kind"] == "class_artifact"]

    assert "the file's format alone tells it" in artifact["message"] or "compressed alone" in artifact["message"]


def test_while_pictures_are_examined_it_says_how_far_it_is(pets: Ana, examine: Examine) -> None:
    examine(is_over=False)

    health = health_of(pets)

    assert (health["status"], health["progress"]) == ("running", 0.5)
    assert "Copies and near copies" in health["waiting"]
    assert "leak" not in {clean["kind"] for clean in health["checked"]}


def test_an_action_on_what_is_gone_is_refused_in_words(pets: Ana) -> None:
    path = f"/api/v1/datasets/{pets.dataset_id}/health/actions"

    gone = pets.client.post(path, json={"finding": "leak", "action": "keep_one"})
    unknown = pets.client.get("/api/v1/datasets/unknown/health")

    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "finding-gone")
    assert unknown.status_code == 404


def test_a_camera_that_holds_its_picture_sideways_is_only_noted(ana: Ana) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    scene(1).save(file, "JPEG", exif=exif)
    ana.bring({"cat/turned.jpg": file.getvalue(), "cat/upright.jpg": jpeg(scene(2))})

    [turned] = health_of(ana)["findings"]

    assert (turned["kind"], turned["severity"], turned["images"]) == ("turned", "note", 1)
