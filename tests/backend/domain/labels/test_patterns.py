import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.errors import InvalidInput
from backend.domain.labels.patterns import InvalidPattern
from backend.domain.labels.rules import (
    apply_rule,
    clean_label,
    parse_rule,
)

PETS = ("images/Maine_Coon_181.jpg", "images/pug_7.jpg", "images/readme.png")


def label(rule: dict[str, object], path: str) -> str | None:
    return clean_label(parse_rule(rule).labels([path])[0])


def test_it_reads_the_part_in_brackets_as_the_course_does() -> None:
    labelling = apply_rule(parse_rule({"kind": "pattern", "pattern": r"/([^/]+)_\d+\.jpg$"}), PETS)

    assert labelling.labels == {"images/Maine_Coon_181.jpg": "Maine_Coon", "images/pug_7.jpg": "pug"}
    assert labelling.unlabelled == ("images/readme.png",)
    assert labelling.classes == ("Maine_Coon", "pug")


def test_it_searches_in_a_slash_and_the_path() -> None:
    assert label({"kind": "pattern", "pattern": r"^/(\w+)"}, "cat.jpg") == "cat"


def test_it_prefers_the_group_named_label() -> None:
    assert label({"kind": "pattern", "pattern": r"(\d+)_(?P<label>[a-z]+)"}, "12_cat.jpg") == "cat"


@pytest.mark.parametrize(("pattern", "expected"), [(r"/(\C)", "é"), (r"/(\C\C)à", "é")])
def test_a_letter_that_a_pattern_cuts_into_bytes_stays_whole(pattern: str, expected: str) -> None:
    assert label({"kind": "pattern", "pattern": pattern}, "éà.jpg") == expected


def test_it_finds_names_however_their_accents_are_written() -> None:
    assert parse_rule({"kind": "pattern", "pattern": "/(caf\u00e9)"}).labels(["caf\u00e9/1.jpg"])[0]
    assert apply_rule(parse_rule({"kind": "pattern", "pattern": "/(caf\u00e9)"}), ["cafe\u0301/1.jpg"]).labels == {
        "cafe\u0301/1.jpg": "caf\u00e9"
    }


def test_it_takes_an_optional_group_that_found_nothing_as_no_label() -> None:
    assert label({"kind": "pattern", "pattern": r"/x(a)?"}, "x.jpg") is None


@pytest.mark.parametrize(
    ("pattern", "position", "part"),
    [
        (r"/([^/]+_\d+\.jpg$", 2, "a round bracket opened at position 2 is never closed"),
        (r"/([^/+)_", 3, "a square bracket opened at position 3 is never closed"),
        (r"/(a))", 5, "the bracket closed at position 5 was never opened"),
        (r"(?<=/)(\w+)", 1, "look-ahead or look-behind, at position 1"),
        (r"/(\w+)(?!x)", 7, "look-ahead or look-behind, at position 7"),
        (r"(a)\1", 4, "a back-reference, at position 4"),
        (r"(a++)", 3, "a possessive repetition, at position 3"),
        (r"(?>a)", 1, "an atomic group, at position 1"),
        ("(a)\\", 4, "ends with a backslash"),
        (r"(*a)", 2, "can't be understood at position 2"),
        (r"(a{1000}{1000})", 3, "can't be understood at position 3"),
        (r"\w+", None, "no part in round brackets"),
        ("(a)" + "b" * 998, None, "more than 1,000 characters"),
    ],
)
def test_it_shows_where_a_pattern_is_wrong(pattern: str, position: int | None, part: str) -> None:
    with pytest.raises(InvalidPattern) as refusal:
        parse_rule({"kind": "pattern", "pattern": pattern})

    assert refusal.value.position == position
    assert part in refusal.value.message


@pytest.mark.parametrize("pattern", [r"((a+)+)$", r"((\w+\s?)*)$", "(" + "|".join(f"w{i}" for i in range(180)) + ")$"])
def test_patterns_that_hang_other_engines_find_nothing_here(pattern: str) -> None:
    rule = parse_rule({"kind": "pattern", "pattern": pattern})

    assert apply_rule(rule, [f"{'a' * 60}{i}!" for i in range(1_000)]).labels == {}


def test_a_pattern_may_be_typed_in_decomposed_letters() -> None:
    assert parse_rule({"kind": "pattern", "pattern": "/(cafe\u0301)"}).labels(["caf\u00e9/1.jpg"])[0] == "caf\u00e9"


def test_a_pattern_of_too_many_instructions_is_refused() -> None:
    with pytest.raises(InvalidPattern, match="too complex"):
        parse_rule({"kind": "pattern", "pattern": r"(\pL{100})"})


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_pattern_or_refused(text: str) -> None:
    try:
        rule = parse_rule({"kind": "pattern", "pattern": text or "x"})
    except InvalidInput:
        return

    assert rule.labels(["a/b_1.jpg"])[0] == rule.labels(["a/b_1.jpg"])[0]
