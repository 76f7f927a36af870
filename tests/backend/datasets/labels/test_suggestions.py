from backend.domain.json import Json
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode


def numbered(*names: str) -> dict[str, bytes]:
    return {name: encode(draw("circle", number, 16)) for number, name in enumerate(names)}


def suggestions(ana: Ana, labels: dict[str, str] | None = None) -> list[Json]:
    answer = ana.client.post(f"/api/v1/datasets/{ana.dataset_id}/labels/suggestions", json={"labels": labels})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["items"]
    return found


def test_it_thinks_that_the_folder_shows_it(ana: Ana) -> None:
    ana.bring_shapes(5)

    best = suggestions(ana)[0]

    assert best["rule"] == {"kind": "folder", "level": 1}
    assert best["words"] == "the folder each picture is in; this fits 15 of 15 pictures"
    assert best["preview"]["labelled"] == 15


def test_it_thinks_that_the_file_name_shows_it(ana: Ana) -> None:
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


def test_it_holds_out_the_test_folder_where_there_is_no_other(ana: Ana) -> None:
    ana.bring(
        numbered(
            *(f"{side}/{kind}/{n}.png" for side in ("Training", "Testing") for kind in ("cat", "dog") for n in range(4))
        )
    )

    best = suggestions(ana)[0]

    assert best["rule"] == {"kind": "folder", "level": 1}
    assert best["split"] == {"kind": "folder", "train": "Training", "valid": "Testing", "test": "test"}
    assert [(found["train"], found["valid"]) for found in best["preview"]["classes"]] == [(4, 4), (4, 4)]


def test_folders_that_only_hold_pictures_are_no_classes(ana: Ana) -> None:
    weather = ("cloudy", "rain", "shine", "sunrise")
    ana.bring(numbered(*(f"images/{kind}/{kind}{n}.jpg" for kind in weather for n in range(5))))
    ana.bring({f"test_images/weather{n}.jpg": encode(draw("cross", 100 + n, 16)) for n in range(4)})

    best = suggestions(ana)[0]

    assert best["rule"] == {"kind": "folder", "level": 1, "leave_out": ["test_images"]}
    assert [found["name"] for found in best["preview"]["classes"]] == [*weather]


def test_masks_beside_pictures_are_not_learnt_from(ana: Ana) -> None:
    kinds = ("MT_Blowhole", "MT_Break", "MT_Free")
    names = [f"{kind}/Imgs/exp{n % 3}_num_{100 * n + at}" for at, kind in enumerate(kinds) for n in range(6)]
    ana.bring(numbered(*(f"{name}.{ending}" for name in names for ending in ("jpg", "png"))))

    best = suggestions(ana)[0]

    assert {found["name"]: found["images"] for found in best["preview"]["classes"]} == dict.fromkeys(kinds, 6)


def test_a_table_is_among_the_suggestions(ana: Ana) -> None:
    paths = [f"mnist_sample/{side}/{digit}/{n}.png" for side in ("train", "valid") for digit in "37" for n in range(4)]
    ana.bring(numbered(*paths))
    rows = "".join(f"{path.removeprefix('mnist_sample/')},{int('/7/' in path)}\n" for path in paths)
    ana.bring({"mnist_sample/labels.csv": f"name,label\n{rows}".encode(), "README.txt": b"Digits, written by hand."})

    found = {suggestion["rule"]["kind"]: suggestion for suggestion in suggestions(ana)}

    assert found["csv"]["rule"] == {"kind": "csv", "file": "mnist_sample/labels.csv"}
    assert found["csv"]["split"]["kind"] == "folder"
    assert {
        one["name"]: (one["train"], one["valid"]) for one in ana.preview({"kind": "csv"}, {"kind": "folder"})["classes"]
    } == {
        "0": (4, 4),
        "1": (4, 4),
    }


def test_a_column_that_reports_it_decides_who_is_held_out(ana: Ana) -> None:
    ana.bring(numbered(*(f"{n}.png" for n in range(8))))
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{n > 4}\n" for n in range(8))
    ana.bring({"labels.csv": f"name,label,is_valid\n{rows}".encode()})

    assert suggestions(ana)[0]["split"] == {"kind": "csv", "column": "is_valid"}


def test_it_follows_labels_that_are_given(ana: Ana) -> None:
    ana.bring(
        numbered(*(f"{day}/{kind}_{n}.png" for day in ("mon", "tue") for kind in ("cat", "dog") for n in range(4)))
    )

    assert suggestions(ana, {"mon/cat_0.png": "cat"})[0]["rule"]["kind"] == "pattern"
    assert suggestions(ana, {"mon/cat_0.png": "mon"})[0]["rule"] == {"kind": "folder", "level": 1}


def test_it_has_nothing_to_say_about_nothing(ana: Ana) -> None:
    assert suggestions(ana) == []
