import pytest

from backend.domain.images import as_given, is_junk, normal


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("train/3/7463.png", "train/3/7463.png"),
        ("/train//3/./7463.png", "train/3/7463.png"),
        ("photos\\cat\\1.jpg", "photos/cat/1.jpg"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\x00b.jpg", "a?b.jpg"),
        ("\ud800\udc80.jpg", "??.jpg"),
        ("\u202egpj.exe", "\u202egpj.exe"),
        ("", "unnamed"),
        ("///", "unnamed"),
    ],
)
def test_it_keeps_a_name_as_data(sent: str, kept: str) -> None:
    assert as_given(sent) == kept


def test_it_cuts_the_middle_out_of_a_very_long_name() -> None:
    kept = as_given("cats/" + "x" * 70_000 + "_1.jpg")

    assert len(kept) == 4096
    assert kept.startswith("cats/xxx")
    assert kept.endswith("xxx_1.jpg")


@pytest.mark.parametrize(
    "path",
    [
        ".DS_Store",
        "a/.hidden.jpg",
        "__MACOSX/a/1.jpg",
        "a/._1.jpg",
        "a/Thumbs.db",
        "desktop.ini",
        ".ipynb_checkpoints/1.jpg",
    ],
)
def test_it_ignores_files_that_nobody_brought_on_purpose(path: str) -> None:
    assert is_junk(path)


@pytest.mark.parametrize("path", ["1.jpg", "a.b/c.jpg", "../1.jpg", "thumbs/1.jpg"])
def test_it_keeps_files_that_somebody_brought(path: str) -> None:
    assert not is_junk(path)


def test_it_compares_names_however_their_accents_are_written() -> None:
    assert normal("cafe\u0301") == normal("caf\u00e9")
