"""Lines of advice: words and ranges for made-up counts."""

import pytest

from backend.domain.learning_curves import Gain
from backend.interpretation.advice.lines import (
    Line,
    confused_pair,
    leak,
    mistakes_words,
    more_pictures,
    no_none_class,
    ranked,
    suspects,
    tiny,
    unclear_classes,
)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (3.2, 5.9, "3 to 6 mistakes fewer"),
        (0.6, 1.3, "about 1 mistake fewer"),
        (0.4, 9.0, "can't tell"),
        (-3.0, -1.0, "can't tell"),
    ],
)
def test_a_range_that_includes_nothing_says_nothing(low: float, high: float, words: str) -> None:
    assert mistakes_words(low, high)[0] == words


def test_pictures_of_a_class_are_offered_with_what_they_would_mend() -> None:
    line = more_pictures("Sphynx", 50, Gain(3.0, 6.0), "/datasets/1")

    assert (line.words, line.effect, line.low, line.high) == (
        "50 more pictures of “Sphynx”",
        "3 to 6 mistakes fewer",
        3,
        6,
    )


def test_classes_that_nothing_is_known_of_are_one_line() -> None:
    assert unclear_classes(3, 3, "").words == "More pictures of any one class"
    assert unclear_classes(2, 3, "").words == "More pictures of the 2 other classes"
    assert unclear_classes(1, 3, "").words == "More pictures of another class"


def test_of_suspects_half_to_nine_tenths_are_wrong() -> None:
    line = suspects(12, 9, "/runs/1/fix")

    assert (line.words, line.effect) == ("Fixing the 12 suspicious labels", "4 to 8 mistakes fewer")
    assert suspects(1, 0, "").words == "Fixing the 1 suspicious label"
    assert suspects(1, 0, "").effect == "can't tell"


def test_small_pictures_count_where_more_of_them_are_wrong_than_of_others() -> None:
    clear, unclear = tiny(18, 20, 0.05, ""), tiny(1, 20, 0.05, "")

    assert clear.effect == "13 to 18 mistakes fewer"
    assert "20 pictures for testing are below 80 pixels, 18 of them wrong" in clear.words
    assert unclear.effect == "can't tell"


def test_copies_make_the_score_too_good() -> None:
    line = leak(10, errors=10, images=100, errors_without=10, path="")

    assert line.words == "10 pictures for testing have copies among the training pictures"
    assert line.effect == "true score nearer 88.9 % than 90.0 %"


@pytest.mark.parametrize(("classes", "is_missing"), [(("cat", "dog"), True), (("cat", "None_of these"), False)])
def test_a_class_for_all_else_is_missed(classes: tuple[str, ...], is_missing: bool) -> None:
    assert (no_none_class(classes, "") is not None) is is_missing


def test_what_mends_most_comes_first_and_what_cannot_be_told_last() -> None:
    nothing = unclear_classes(2, 3, "")
    some, most = more_pictures("a", 10, Gain(1, 2), ""), confused_pair("a", "b", 7, "")
    copies = leak(1, 1, 10, 1, "")
    lines: list[Line] = [nothing, copies, some, most]

    assert ranked(lines) == [most, some, copies, nothing]
