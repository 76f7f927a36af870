import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.ids import Digest
from backend.domain.labels.alike import groups_alike, names_of_nothing, pairs_one_letter_apart
from backend.domain.labels.cells import guarded, unguarded
from backend.domain.labels.overrides import Overrides, renamed

NAMES = st.sampled_from("abcd")


@pytest.mark.parametrize(
    ("digest", "by_rule", "label", "is_left_out"),
    [
        ("1", "cat", "dog", False),
        ("2", "cat", None, True),
        ("3", "cat", "kitty", False),
        ("3", "nan", None, True),
        ("3", "owl", "owl", False),
        ("3", None, None, False),
        ("1", None, "dog", False),
    ],
)
def test_pictures_go_before_classes_and_these_before_the_rule(
    digest: str, by_rule: str | None, label: str | None, is_left_out: bool
) -> None:
    overrides = Overrides({Digest("1"): "dog", Digest("2"): None}, {"cat": "kitty", "nan": None})

    assert overrides.label(Digest(digest), by_rule) == label
    assert overrides.is_left_out(Digest(digest), by_rule) is is_left_out


@given(st.lists(st.tuples(st.sets(NAMES, min_size=1), NAMES), max_size=6))
def test_merging_again_and_again_is_the_same_as_renaming_every_picture(merges: list[tuple[set[str], str]]) -> None:
    classes: dict[str, str | None] = {}
    labels = {name: name for name in "abcd"}
    for names, to in merges:
        classes |= renamed(classes, names, to)
        labels = {name: to if label in names else label for name, label in labels.items()}

    assert {name: Overrides({}, classes).label(Digest("x"), name) for name in "abcd"} == labels


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        ("@x", "'@x"),
        ("-x", "'-x"),
        ("\t=1", "'\t=1"),
        ("'=x", "''=x"),
        ("-0.52", "-0.52"),
        ("+1", "+1"),
        ("-1e-3", "-1e-3"),
        ("'quoted'", "'quoted'"),
        ("a=1", "a=1"),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_guarded_and_numbers_are_not(text: str, cell: str) -> None:
    assert guarded(text) == cell
    assert unguarded(cell) == text


@given(st.text(st.sampled_from("'=+-@1.ex\t"), max_size=6))
def test_a_guarded_text_comes_back_as_it_was(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_names_that_are_probably_one_are_found() -> None:
    names = [
        "Bengal",
        "bengal ",
        "Maine Coon",
        "maine_coon",
        "Ragdoll",
        "Ragdol",
        "cat",
        "car",
        "week 1",
        "week 2",
        "pugs",
    ]

    assert groups_alike(names) == [("Bengal", "bengal "), ("Maine Coon", "maine_coon")]
    assert pairs_one_letter_apart(names) == [("Ragdol", "Ragdoll")]
    assert pairs_one_letter_apart(["Persian", "Persien", "persian", "Birman", "Burman"]) == [
        ("Birman", "Burman"),
        ("Persian", "Persien"),
    ]
    assert names_of_nothing(["nan", "None", "cat", "N/A"]) == ["N/A", "None", "nan"]
