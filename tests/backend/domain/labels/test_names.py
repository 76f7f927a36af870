import pytest

from backend.domain.labels.names import Fit, NameIndex, RowMatch

IMAGES = ("set/images/001.jpg", "set/images/002.jpg", "set/images/Zoe\u0301.jpg")


def meant(cell: str, *paths: str) -> tuple[str, ...]:
    found = NameIndex.of(paths or IMAGES).find(cell)
    return found.paths if found else ()


@pytest.mark.parametrize(
    "cell",
    [
        "set/images/001.jpg",
        "images/001.jpg",
        "001.jpg",
        "001.JPG",
        "001",
        "./images/001",
        "1",
        "1.0",
        "01.png",
        "C:\\Users\\user\\Desktop\\images\\001.jpg",
        "/home/ann/data/images/001.jpg",
        "IMAGES\\001.JPG",
        "elsewhere/001.jpg",
    ],
)
def test_a_name_written_on_another_machine_means_its_picture(cell: str) -> None:
    assert meant(cell) == ("set/images/001.jpg",)


@pytest.mark.parametrize("cell", ["", " ", "/", "3", "003.jpg", "1.jpg.bak", "image", "0.01"])
def test_other_texts_mean_none(cell: str) -> None:
    assert meant(cell) == ()


def test_accents_may_be_written_either_way() -> None:
    assert meant("Zo\u00e9.jpg") == ("set/images/Zoe\u0301.jpg",)


def test_folders_decide_between_equal_names() -> None:
    assert meant("valid/1.jpg", "train/1.jpg", "valid/1.jpg") == ("valid/1.jpg",)
    assert meant("1.jpg", "train/1.jpg", "valid/1.jpg") == ("train/1.jpg", "valid/1.jpg")


def test_a_stricter_fit_wins() -> None:
    assert meant("A.jpg", "a.jpg", "A.jpg") == ("A.jpg",)
    assert meant("7", "007.jpg", "7.png") == ("7.png",)


def matched(cells: list[str], paths: list[str], file: str = "labels.csv") -> RowMatch:
    return RowMatch.of(cells, NameIndex.of(paths), file)


def test_a_row_for_a_picture_that_is_missing_takes_no_other() -> None:
    match = matched(["a/1.jpg", "b/1.jpg"], ["a/1.jpg"])

    assert match.rows == {"a/1.jpg": (0,)}
    assert match.unmatched == ("b/1.jpg",)


def test_a_name_of_several_pictures_means_none_of_them() -> None:
    match = matched(["1.jpg"], ["a/1.jpg", "b/1.jpg"])

    assert match.rows == {}
    assert [(one.name, one.paths) for one in match.ambiguous] == [("1.jpg", ("a/1.jpg", "b/1.jpg"))]


def test_the_end_of_a_path_means_it_as_other_spellings_do() -> None:
    index = NameIndex.of(["a/b/1.jpg", "a/b/2.jpg", "c/2.jpg", "a/7.jpg"])

    assert index.find("b/1.jpg") == (("a/b/1.jpg",), (False, Fit.EXACT, -1))
    assert index.find("b\\1.jpg") == (("a/b/1.jpg",), (False, Fit.EXACT, -1))
    assert index.find("2.jpg") == (("a/b/2.jpg", "c/2.jpg"), (False, Fit.EXACT, 0))
    assert index.find("c/1.jpg") == (("a/b/1.jpg",), (True, Fit.EXACT, 0))
    assert index.find("007") == (("a/7.jpg",), (False, Fit.NUMBER, 0))


def test_the_row_that_names_a_picture_best_has_it() -> None:
    found = matched(["1.jpg", "a/1.jpg", "1", "a/1.jpg"], ["a/1.jpg"])

    assert found.rows == {"a/1.jpg": (1, 3)}
    assert found.unmatched == ("1.jpg", "1")


def test_copies_of_one_picture_are_not_several() -> None:
    index = NameIndex.of(["a/1.jpg", "b/1.jpg"], {"a/1.jpg": "same", "b/1.jpg": "same"})

    assert RowMatch.of(["1.jpg"], index).rows == {"a/1.jpg": (0,), "b/1.jpg": (0,)}


@pytest.mark.parametrize("file", ["train.csv", "train_labels.csv", "train/labels.csv", "Train.CSV"])
def test_the_folder_beside_a_table_or_named_like_it_wins(file: str) -> None:
    match = matched(["0", "1"], ["train/0.jpg", "train/1.jpg", "test/0.jpg", "test/1.jpg"], file)

    assert match.rows == {"train/0.jpg": (0,), "train/1.jpg": (1,)}


def test_a_table_names_no_picture_of_the_other_folder() -> None:
    match = matched(["0", "1", "2"], ["train/0.jpg", "train/1.jpg", "test/2.jpg"], "train.csv")

    assert match.unmatched == ("2",)


def test_a_table_may_name_pictures_outside_its_folder_by_their_folder() -> None:
    match = matched(["a/0.jpg", "a/1.jpg", "b/0.jpg"], ["a/0.jpg", "a/1.jpg", "b/0.jpg"], "a/labels.csv")

    assert match.rows == {"a/0.jpg": (0,), "a/1.jpg": (1,), "b/0.jpg": (2,)}
