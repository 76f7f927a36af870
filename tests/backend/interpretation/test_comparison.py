"""Two models on the same pictures, by outcome and class."""

from backend.domain.ids import ImageId
from backend.domain.trends import Flips
from backend.interpretation.comparison import Outcome, Pair, class_changes, flips_of_pairs

PAIRS = [
    Pair(ImageId("a"), label="cat", before="dog", after="cat"),
    Pair(ImageId("b"), label="cat", before="cat", after="cat"),
    Pair(ImageId("c"), label="dog", before="dog", after="owl"),
    Pair(ImageId("d"), label="dog", before="cat", after="owl"),
    Pair(ImageId("e"), label="cat", before="owl", after="cat"),
]


def test_each_picture_has_one_of_four_outcomes() -> None:
    assert [pair.outcome for pair in PAIRS] == [
        Outcome.NOW_RIGHT,
        Outcome.BOTH_RIGHT,
        Outcome.NOW_WRONG,
        Outcome.STILL_WRONG,
        Outcome.NOW_RIGHT,
    ]


def test_mistakes_and_flips_are_counted() -> None:
    assert flips_of_pairs(PAIRS) == Flips(5, wrong_before=3, wrong_after=2, mended=2, spoiled=1)


def test_classes_that_changed_most_come_first_and_mere_answers_are_classes_too() -> None:
    cat, dog, owl = class_changes(PAIRS)

    assert (cat.name, cat.images, cat.now_right, cat.now_wrong) == ("cat", 3, 2, 0)
    assert (cat.before.recall, cat.after.recall) == (1 / 3, 1.0)
    assert (cat.before.precision, cat.after.precision) == (0.5, 1.0)
    assert (dog.name, dog.now_right, dog.now_wrong) == ("dog", 0, 1)
    assert (dog.before.precision, dog.after.precision) == (0.5, None)
    assert (owl.name, owl.images, owl.after.recall, owl.after.precision) == ("owl", 0, None, 0.0)
