"""Layouts of other tools: each is recognised, proposed first, and gives the labels that it is meant to."""

import json
from collections.abc import Mapping, Sequence

import pytest

from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode

CATS = [f"cat{number}" for number in range(6)]
DOGS = [f"dog{number}" for number in range(6)]
FILES = [*CATS, *DOGS]
ONE_EACH = {"cat": 6, "dog": 6}


def numbered(names: Sequence[str]) -> dict[str, bytes]:
    return {name: encode(draw("circle", number, 16)) for number, name in enumerate(names)}


def plain(folder: str) -> dict[str, bytes]:
    """Pictures whose names say nothing: 100.jpg and so on, as ``NAMES`` has them."""
    return numbered([f"{folder}{name}.jpg" for name in NAMES])


NAMES = [str(1000 + 7 * number) for number in range(12)]
LABELS = ["cat", "dog"] * 6


def best(ana: Ana) -> Json:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/suggestions", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][0]


def counts(suggestion: Json) -> dict[str, int]:
    return {found["name"]: found["images"] for found in suggestion["preview"]["classes"]}


def sides(suggestion: Json) -> dict[str, tuple[int, int, int]]:
    return {
        found["name"]: (found["train"], found["valid"], found["test"]) for found in suggestion["preview"]["classes"]
    }


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is read from files is the same on every database."""
    return sqlite_url


@pytest.mark.parametrize(
    ("wrapper", "train", "valid", "test"),
    [
        ("", "train", "valid", "test"),
        ("my pictures/", "Training", "VAL", "Testing"),
        ("", "training", "validation", "test"),
        ("data/", "TRAIN", "eval", "test"),
    ],
)
def test_folders_of_classes_within_folders_of_sides(ana: Ana, wrapper: str, train: str, valid: str, test: str) -> None:
    ana.bring(
        numbered(
            [
                f"{wrapper}{side}/{kind}/{number}.png"
                for side, each in ((train, 4), (valid, 2), (test, 1))
                for kind in ("cat", "dog")
                for number in range(each)
            ]
        )
    )

    found = best(ana)

    assert found["rule"] == {"kind": "folder", "level": 1}
    assert sides(found) == {"cat": (4, 2, 1), "dog": (4, 2, 1)}


def rows(*columns: Sequence[str], header: str, separator: str = ",") -> str:
    lines = [header, *(separator.join(row) for row in zip(*columns, strict=True))]
    return "\r\n".join(lines) + "\r\n"


SIDE_WORDS = ["training", "training", "training", "training", "Validation", "Validation"] * 2
TABLES: Mapping[str, bytes] = {
    "ids without endings": rows(NAMES, LABELS, header="id,label").encode(),
    "absolute paths": rows([f"/home/ann/x/{name}.jpg" for name in NAMES], LABELS, header="path,label").encode(),
    "Windows' paths": rows([f"C:\\x\\{name}.JPG" for name in NAMES], LABELS, header="file,breed").encode(),
    "a byte order mark and semicolons": b"\xef\xbb\xbf"
    + rows(NAMES, LABELS, header="id;label", separator=";").encode(),
    "tabs in UTF-16": rows(NAMES, LABELS, header="id\tlabel", separator="\t").encode("utf-16"),
    "one column for each class": rows(
        NAMES,
        [str(int(label == "cat")) for label in LABELS],
        [str(int(label == "dog")) for label in LABELS],
        header="filename,cat,dog",
    ).encode(),
    "addresses, as Label Studio exports them": rows(
        [f"/data/upload/3/0a1b2c3d-{name}.jpg" for name in NAMES], LABELS, header="image,choice"
    ).encode(),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_many_shapes(ana: Ana, kind: str) -> None:
    ana.bring({**plain("images/"), "labels.csv": TABLES[kind]})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "labels.csv"}
    assert counts(found) == ONE_EACH


def test_a_column_of_sides_in_words(ana: Ana) -> None:
    ana.bring({**plain(""), "labels.csv": rows(NAMES, LABELS, SIDE_WORDS, header="id,label,Split").encode()})

    found = best(ana)

    assert found["split"] == {"kind": "csv", "column": "Split"}
    assert sides(found) == {"cat": (4, 2, 0), "dog": (4, 2, 0)}


def test_of_a_column_with_train_and_test_the_test_is_held_out(ana: Ana) -> None:
    words = [word.replace("Validation", "test").replace("training", "train") for word in SIDE_WORDS]
    ana.bring({**plain(""), "labels.csv": rows(NAMES, LABELS, words, header="id,label,split").encode()})

    found = best(ana)

    assert sides(found) == {"cat": (4, 2, 0), "dog": (4, 2, 0)}
    assert "test-folder-held-out" in [warning["code"] for warning in found["preview"]["warnings"]]


def metadata(names: Sequence[str], labels: Sequence[str], kind: str) -> bytes:
    if kind == "csv":
        return rows(names, labels, header="file_name,label").encode()
    return "\n".join(json.dumps({"file_name": a, "label": b}) for a, b in zip(names, labels, strict=True)).encode()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_hugging_face_with_a_table_in_each_folder_of_a_split(ana: Ana, kind: str) -> None:
    # The same file names in both folders, with other labels.
    pictures = numbered([f"{side}/{number}.png" for side in ("train", "test") for number in range(6)])
    names = [f"{number}.png" for number in range(6)]
    train, test = metadata(names, ["cat", "dog"] * 3, kind), metadata(names, ["dog", "cat"] * 3, kind)
    ana.bring({**pictures, f"train/metadata.{kind}": train, f"test/metadata.{kind}": test})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": f"*/metadata.{kind}"}
    assert found["words"] == f"the label in the 2 tables */metadata.{kind}; this fits 12 of 12 pictures"
    assert sides(found) == {"cat": (3, 3, 0), "dog": (3, 3, 0)}
    assert found["preview"]["table"]["files"] == [f"test/metadata.{kind}", f"train/metadata.{kind}"]
    assert ana.preview({"kind": "csv"})["labelled"] == 12
    assert ana.freeze(found["rule"], found["split"])["counts"]["cat"] == {"train": 3, "valid": 3, "test": 0}


def test_hugging_face_with_one_table_beside_the_folders(ana: Ana) -> None:
    names = [f"{side}/{number}.png" for side in ("train", "validation") for number in range(6)]
    ana.bring({**numbered(names), "metadata.csv": metadata(names, ["cat", "dog"] * 6, "csv")})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "metadata.csv"}
    assert sides(found) == {"cat": (3, 3, 0), "dog": (3, 3, 0)}


def test_a_table_for_each_side(ana: Ana) -> None:
    train, valid = (rows(NAMES[some], LABELS[some], header="id,label").encode() for some in (slice(8), slice(8, 12)))
    ana.bring({**plain("images/"), "train.csv": train, "val.csv": valid})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "*.csv"}
    assert found["split"] == {"kind": "csv", "column": "split"}
    assert sides(found) == {"cat": (4, 2, 0), "dog": (4, 2, 0)}


def coco(names: Sequence[str], labels: Sequence[str], more: Sequence[tuple[int, int]] = ()) -> bytes:
    """``more``: further categories of images, by their numbers."""
    given = [(number, 1 + (label == "dog")) for number, label in enumerate(labels)]
    return json.dumps(
        {
            "info": {"year": 2017},
            "images": [{"id": number, "file_name": name, "width": 16} for number, name in enumerate(names)],
            "annotations": [
                {"id": at, "image_id": image, "category_id": category, "bbox": [0, 0, 1, 1]}
                for at, (image, category) in enumerate([*given, *given, *more])
            ],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        }
    ).encode()


def test_coco_gives_a_picture_its_only_category_and_lists_the_others(ana: Ana) -> None:
    names = [f"{name}.jpg" for name in NAMES]
    ana.bring({**plain("train2017/"), "annotations/instances.json": coco(names, LABELS, [(0, 2)])})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "annotations/instances.json"}
    assert counts(found) == {"cat": 5, "dog": 6}
    assert found["preview"]["table"]["layout"] == "coco"
    warnings = {warning["code"]: warning["message"] for warning in found["preview"]["warnings"]}
    assert warnings["table-contradicts-itself"] == (
        "The table gives different labels to 1 picture: 1000.jpg. It gets no label."
    )


def test_coco_with_a_file_for_each_side(ana: Ana) -> None:
    pictures = numbered([f"train2017/{n}.jpg" for n in range(8)] + [f"val2017/{n}.jpg" for n in range(8, 12)])
    train, valid = (
        coco([f"{n}.jpg" for n in range(8)], LABELS[:8]),
        coco([f"{n}.jpg" for n in range(8, 12)], LABELS[8:]),
    )
    ana.bring({**pictures, "annotations/instances_train2017.json": train, "annotations/instances_val2017.json": valid})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "annotations/instances_*.json"}
    assert sides(found) == {"cat": (4, 2, 0), "dog": (4, 2, 0)}


def task(name: str, *chosen: str, **more: Json) -> Json:
    choices = {"type": "choices", "from_name": "animal", "to_name": "image"}
    return {
        "data": {"image": f"/data/upload/1/0123abcd-{name}.jpg", "note": "x"},
        "annotations": [{"result": [{**choices, "value": {"choices": [label]}}]} for label in chosen],
        **more,
    }


def test_label_studio_with_what_its_people_agree_on(ana: Ana) -> None:
    tasks = [task(name, label, label) for name, label in zip(NAMES[:10], LABELS, strict=False)]
    tasks += [task(NAMES[10], "cat", "dog"), task(NAMES[11])]
    ana.bring({**plain(""), "project-1.json": json.dumps(tasks).encode()})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "project-1.json"}
    assert counts(found) == {"cat": 5, "dog": 5}
    assert found["preview"]["table"]["label_columns"] == ["animal"]
    codes = [warning["code"] for warning in found["preview"]["warnings"]]
    assert "table-contradicts-itself" in codes
    assert "images-without-row" in codes


def test_label_studio_in_its_short_form(ana: Ana) -> None:
    tasks = [
        {"id": at, "image": f"s3://bucket/{name}.jpg?v=1", "choice": label, "lead_time": 1.5}
        for at, (name, label) in enumerate(zip(NAMES, LABELS, strict=True))
    ]
    ana.bring({**plain("x/"), "short.json": json.dumps(tasks).encode()})

    assert counts(best(ana)) == ONE_EACH


def test_fiftyone_with_numbers_of_classes(ana: Ana) -> None:
    labels = {name: int(label == "dog") for name, label in zip(NAMES, LABELS, strict=True)}
    ana.bring({**plain("data/"), "labels.json": json.dumps({"classes": ["cat", "dog"], "labels": labels}).encode()})

    found = best(ana)

    assert found["rule"] == {"kind": "csv", "file": "labels.json"}
    assert counts(found) == ONE_EACH


def test_a_map_from_names_to_labels(ana: Ana) -> None:
    labels = {f"{name}.jpg": label for name, label in zip(NAMES, LABELS, strict=True)}
    ana.bring({**plain(""), "labels.json": json.dumps(labels).encode()})

    assert counts(best(ana)) == ONE_EACH


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"name": "package", "version": "1.0"}', "It is a JSON file, not a picture, and none with labels"),
        (b'[{"file_name": "a.jpg", "label"', "It is a damaged JSON file"),
        (b"[" * 100_000, "It is a JSON file with too many lists and objects inside one another"),
    ],
)
def test_other_json_is_left_out_and_spoils_nothing(ana: Ana, content: bytes, reason: str) -> None:
    answer = ana.bring({"x.json": content, **plain("")})

    assert (answer["added"], answer["tables"]) == (12, 0)
    assert answer["rejected"][0]["message"].startswith(reason)


def test_what_was_understood_stands_on_the_page(ana: Ana) -> None:
    names = [f"{name}.jpg" for name in NAMES]
    ana.bring({**plain("x/"), "y/z.json": coco(names, LABELS)})

    page = ana.client.get(f"/datasets/{ana.dataset_id}/labels").text

    assert "y/z.json: 12 rows, COCO; pictures in “file_name”, labels in “category”." in page


def test_a_pattern_for_tables_that_fits_none_is_refused_with_their_names(ana: Ana) -> None:
    ana.bring({**plain(""), "labels.csv": TABLES["ids without endings"]})
    body = {"rule": {"kind": "csv", "file": "*/metadata.csv"}}

    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/preview", json=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "There is no table called */metadata.csv."
    assert answer.json()["error"]["advice"] == "There are: labels.csv."
