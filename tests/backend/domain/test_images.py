import pytest

from backend.domain.images import as_given, is_junk, normal, shortened


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("train/3/7463.png", "train/3/7463.png"),
        ("/train//3/./7463.png", "train/3/7463.png"),
        ("photos\\cat\\1.jpg", "photos/cat/1.jpg"),
        ("../../etc/passwd", "etc/passwd"),
        ("cats/../dogs/1.jpg", "dogs/1.jpg"),
        ("C:\\data\\cats\\1.jpg", "data/cats/1.jpg"),
        ("d:/data/dogs/1.jpg", "data/dogs/1.jpg"),
        ("\\\\?\\C:\\data\\1.jpg", "data/1.jpg"),
        ("\\\\nas\\photos\\1.jpg", "nas/photos/1.jpg"),
        ("a:b.jpg", "a:b.jpg"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645/1.jpg",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645/1.jpg",
        ),
        ("a\x00b.jpg", "a?b.jpg"),
        ("\ud800\udc80.jpg", "??.jpg"),
        ("\u202egpj.exe", "\u202egpj.exe"),
        ("", "unnamed"),
        ("///", "unnamed"),
    ],
)
def test_it_keeps_a_name_as_data(sent: str, kept: str) -> None:
    assert as_given(sent) == kept


def test_two_long_names_stay_two() -> None:
    first, second = ("cats/" + "x" * 5_000 + letter + "y" * 5_000 + ".jpg" for letter in "ab")

    assert as_given(first) != as_given(second)


def test_a_long_name_is_shown_by_its_front_and_its_end() -> None:
    shown = shortened("cats/" + "x" * 70_000 + "_1.jpg")

    assert len(shown) == 4096
    assert shown.startswith("cats/xxx")
    assert shown.endswith("xxx_1.jpg")


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
        "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png",
        "cat/SYNOFILE_THUMB_M_1.png",
        "#recycle/old.png",
        "$RECYCLE.BIN/x.png",
        "cat/.@__thumb/s100x.png",
        "cat/@__thumb/s100x.png",
        ".thumbnails/1.jpg",
        "holiday/.picasaoriginals/1.jpg",
        "holiday/Picasa.ini",
        "System Volume Information/1.png",
        "lost+found/1.png",
    ],
)
def test_it_ignores_files_that_nobody_brought_on_purpose(path: str) -> None:
    assert is_junk(path)


@pytest.mark.parametrize(
    "path", ["1.jpg", "a.b/c.jpg", "thumbs/1.jpg", "recycle/1.jpg", "originals/1.jpg", "eaDir/1.jpg"]
)
def test_it_keeps_files_that_somebody_brought(path: str) -> None:
    assert not is_junk(path)


def test_it_compares_names_however_their_accents_are_written() -> None:
    assert normal("cafe\u0301") == normal("caf\u00e9")
