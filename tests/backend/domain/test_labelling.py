import time
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.errors import InvalidInput
from backend.domain.expressions import InvalidExpression
from backend.domain.label_tables import InvalidTable, Table, UnknownColumn
from backend.domain.labelling import (
    ByTable,
    CsvRule,
    FolderRule,
    InvalidLabelRule,
    LabelRule,
    RuleSpec,
    apply_rule,
    clean_label,
    parse_rule,
    parse_spec,
)
from backend.domain.patterns import InvalidPattern

PETS = ("images/Maine_Coon_181.jpg", "images/pug_7.jpg", "images/readme.png")


def label(rule: dict[str, object], path: str) -> str | None:
    return clean_label(parse_rule(rule).label(PurePosixPath(path)))


# Folders


@pytest.mark.parametrize(
    ("level", "path", "expected"),
    [
        (1, "train/cat/1.jpg", "cat"),
        (2, "train/cat/1.jpg", "train"),
        (3, "train/cat/1.jpg", None),
        (1, "1.jpg", None),
    ],
)
def test_it_reads_the_folder_at_a_level(level: int, path: str, expected: str | None) -> None:
    assert label({"kind": "folder", "level": level}, path) == expected


# Patterns


def test_it_reads_the_part_in_brackets_as_the_course_does() -> None:
    labelling = apply_rule(parse_rule({"kind": "pattern", "pattern": r"/([^/]+)_\d+\.jpg$"}), PETS)

    assert labelling.labels == {"images/Maine_Coon_181.jpg": "Maine_Coon", "images/pug_7.jpg": "pug"}
    assert labelling.unlabelled == ("images/readme.png",)
    assert labelling.classes == ("Maine_Coon", "pug")


def test_it_searches_in_a_slash_and_the_path() -> None:
    assert label({"kind": "pattern", "pattern": r"^/(\w+)"}, "cat.jpg") == "cat"


def test_it_prefers_the_group_named_label() -> None:
    assert label({"kind": "pattern", "pattern": r"(\d+)_(?P<label>[a-z]+)"}, "12_cat.jpg") == "cat"


def test_it_finds_names_however_their_accents_are_written() -> None:
    assert parse_rule({"kind": "pattern", "pattern": "/(caf\u00e9)"}).label(PurePosixPath("caf\u00e9/1.jpg"))
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
def test_it_says_where_a_pattern_is_wrong(pattern: str, position: int | None, part: str) -> None:
    with pytest.raises(InvalidPattern) as refusal:
        parse_rule({"kind": "pattern", "pattern": pattern})

    assert refusal.value.position == position
    assert part in refusal.value.message


@pytest.mark.parametrize("pattern", [r"((a+)+)$", r"((\w+\s?)*)$", "(" + "|".join(f"w{i}" for i in range(180)) + ")$"])
def test_no_pattern_hangs(pattern: str) -> None:
    rule = parse_rule({"kind": "pattern", "pattern": pattern})
    started = time.perf_counter()

    apply_rule(rule, [f"{'a' * 60}{i}!" for i in range(10_000)])

    assert time.perf_counter() - started < 5


# Expressions


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("parts[0]", "new"),
        ("parent", "new/cats"),
        ("name", "tom_1.jpg"),
        ("stem", "tom_1"),
        ("suffix", ".jpg"),
        ("path.startsWith('new') ? 'new' : 'old'", "new"),
        ("stem.split('_')[0]", "tom"),
        ("stem.replace('tom', 'Tim').upperAscii()", "TIM_1"),
        ("stem.substring(0, stem.indexOf('_')).lowerAscii()", "tom"),
        ("stem.substring(stem.lastIndexOf('_') + 1)", "1"),
        ("path.matches('_[0-9]+\\\\.jpg$') ? 'numbered' : 'other'", "numbered"),
        ("parts.exists(part, part == 'cats') ? 'cat' : 'dog'", "cat"),
        ("'  cat '.trim()", "cat"),
        ("parts[9]", None),
        ("''", None),
        ("'café'", "café"),
    ],
)
def test_it_evaluates_an_expression(expression: str, expected: str | None) -> None:
    assert label({"kind": "expression", "expression": expression}, "new/cats/tom_1.jpg") == expected


@pytest.mark.parametrize(
    ("expression", "position", "part"),
    [
        ("stem +", 7, "something is missing at its end"),
        ("nosuch", 1, "“nosuch” at position 1 isn't known"),
        ("stem +\n nosuch", 9, "“nosuch” at position 9 isn't known"),
        ("stem * 2", 6, "doesn't fit"),
        ("().__class__.__bases__", 2, "can't be understood at position 2"),
        ("foo.gi_frame", 4, "isn't known"),
        ("9**9**9", 3, "can't be understood"),
        ("1 + 1", None, "gives a number"),
        ("true", None, "gives yes or no"),
        ("parts", None, "gives a list"),
        ("[" * 500 + "]" * 500, None, "nested"),
        ("'" + "x" * 2_000 + "'", None, "more than 2,000 characters"),
        ("[1].map(a, [2].map(b, b))[0]", None, "at most one"),
    ],
)
def test_it_says_where_an_expression_is_wrong(expression: str, position: int | None, part: str) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        parse_rule({"kind": "expression", "expression": expression})

    assert refusal.value.position == position
    assert part in refusal.value.message


@pytest.mark.parametrize(
    "expression",
    [
        "stem" + ".replace('b', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')" * 20,
        "path.matches('" + "(a|b){900}" * 30 + "\\\\pL{900}') ? 'a' : 'b'",
        "path.matches('(') ? 'a' : 'b'",
        "dyn(1)",
        " || ".join(["path.matches('(\\\\w{100}){10}\\\\pL\\\\pN')"] * 40) + " ? 'a' : 'b'",
    ],
)
def test_an_expression_that_goes_too_far_is_stopped(expression: str) -> None:
    rule = parse_rule({"kind": "expression", "expression": expression})
    started = time.thread_time()

    with pytest.raises(InvalidExpression):
        apply_rule(rule, ["b" * 4_000] * 100)

    assert time.thread_time() - started < 5


@given(st.text(max_size=60))
def test_whatever_is_typed_is_an_expression_or_refused(text: str) -> None:
    try:
        rule = parse_rule({"kind": "expression", "expression": text or "x"})
        once, twice = (rule.label(PurePosixPath("a/b_1.jpg")) for _ in range(2))
    except InvalidInput:
        return

    assert once == twice


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_pattern_or_refused(text: str) -> None:
    try:
        rule = parse_rule({"kind": "pattern", "pattern": text or "x"})
    except InvalidInput:
        return

    assert rule.label(PurePosixPath("a/b_1.jpg")) == rule.label(PurePosixPath("a/b_1.jpg"))


# Tables


def table(*lines: str, images: tuple[str, ...] = ("a/1.jpg", "b/2.jpg", "b/3.jpg")) -> Table:
    return Table.of("labels.csv", [line.split(",") for line in lines], images)


def by_table(found: Table, images: tuple[str, ...] = ("a/1.jpg", "b/2.jpg", "b/3.jpg"), **columns: str) -> LabelRule:
    return parse_rule(CsvRule.model_validate({"kind": "csv", **columns}), paths=images, table=found)


def labels(rule: LabelRule, images: tuple[str, ...] = ("a/1.jpg", "b/2.jpg", "b/3.jpg")) -> dict[str, str]:
    return dict(apply_rule(rule, images).labels)


def test_it_finds_the_columns_of_the_course() -> None:
    rule = by_table(table("name,label", "a/1.jpg,3", "b/2.jpg,7", "b/3.jpg,7"))

    assert labels(rule) == {"a/1.jpg": "3", "b/2.jpg": "7", "b/3.jpg": "7"}
    assert isinstance(rule, ByTable)
    assert (rule.image_column, rule.label_column) == ("name", "label")


def test_it_takes_a_column_of_that_name_wherever_it_stands() -> None:
    rule = by_table(table("id,is_valid,Label,file", "9,0,x,1.jpg", "8,1,y,2.jpg", "7,0,y,3.jpg"))

    assert labels(rule) == {"a/1.jpg": "x", "b/2.jpg": "y", "b/3.jpg": "y"}


def test_it_prefers_a_column_that_repeats_itself() -> None:
    rule = by_table(table("file,url,breed", "1.jpg,u1,x", "2.jpg,u2,x", "3.jpg,u3,x"))

    assert isinstance(rule, ByTable)
    assert rule.label_column == "breed"


def test_it_reads_a_table_without_a_header() -> None:
    found = table("1.jpg,cat", "2.jpg,dog")

    assert found.has_header is False
    assert found.columns == ("column 1", "column 2")
    assert labels(by_table(found)) == {"a/1.jpg": "cat", "b/2.jpg": "dog"}


@pytest.mark.parametrize("name", ["a/1.jpg", "1.jpg", "./a/1.jpg", "\\a\\1.jpg", "old/place/1.jpg", "1", "a/1"])
def test_it_matches_by_path_or_name(name: str) -> None:
    assert labels(by_table(table("name,label", f"{name},cat", "2.jpg,dog"))) == {"a/1.jpg": "cat", "b/2.jpg": "dog"}


def test_it_prefers_the_whole_path_to_the_name() -> None:
    images = ("a/1.jpg", "b/1.jpg")
    rule = by_table(table("name,label", "a/1.jpg,cat", "b/1.jpg,dog", images=images), images)

    assert labels(rule, images) == {"a/1.jpg": "cat", "b/1.jpg": "dog"}


def test_it_gives_no_label_where_the_table_contradicts_itself() -> None:
    rule = by_table(table("name,label", "1.jpg,cat", "1.jpg,dog", "2.jpg,dog", "2.jpg,dog"))

    assert labels(rule) == {"b/2.jpg": "dog"}
    assert isinstance(rule, ByTable)
    assert rule.lookup.conflicts == ("1.jpg",)


def test_it_finds_the_rows_that_name_no_picture() -> None:
    rule = by_table(table("name,label", "1.jpg,cat", "gone.jpg,dog", "elsewhere/2.jpg,dog"))

    assert isinstance(rule, ByTable)
    assert rule.lookup.names_without_image([PurePosixPath("a/1.jpg"), PurePosixPath("b/2.jpg")]) == ["gone.jpg"]


def test_it_names_the_columns_there_are() -> None:
    with pytest.raises(UnknownColumn) as refusal:
        by_table(table("file,breed,is_valid", "1.jpg,x,0"), image_column="name")

    assert refusal.value.message == "labels.csv has no column called name. It has: file, breed, is_valid."


@pytest.mark.parametrize(
    "lines",
    [("name,label", "x.jpg,cat"), ("name", "1.jpg"), ("",), (",,", "")],
    ids=["others", "one", "empty", "blank"],
)
def test_it_refuses_a_table_that_says_nothing(lines: tuple[str, ...]) -> None:
    with pytest.raises(InvalidTable):
        by_table(table(*lines))


# Lists


def test_it_takes_a_map() -> None:
    assert label({"kind": "list", "labels": {"a/1.jpg": "cat", "a/2.jpg": None}}, "a/1.jpg") == "cat"


def test_it_lays_an_array_along_the_sorted_paths() -> None:
    rule = parse_rule({"kind": "list", "labels": ["x", None, "y"]}, paths=["b.jpg", "a.jpg", "c.jpg"])

    assert apply_rule(rule, ["b.jpg", "a.jpg", "c.jpg"]).labels == {"a.jpg": "x", "c.jpg": "y"}


def test_it_refuses_an_array_of_another_length() -> None:
    with pytest.raises(InvalidLabelRule) as refusal:
        parse_rule({"kind": "list", "labels": ["x"]}, paths=["a.jpg", "b.jpg"])

    assert refusal.value.details == {"labels": 1, "images": 2}


# What all have in common


@pytest.mark.parametrize(
    ("given", "kept"), [("  cat ", "cat"), ("", None), (" \t", None), ("a\nb", "a b"), ("x" * 300, "x" * 200)]
)
def test_it_keeps_labels_tidy(given: str, kept: str | None) -> None:
    assert clean_label(given) == kept


@pytest.mark.parametrize(
    "content", [{}, {"kind": "magic"}, {"kind": "folder", "level": 0}, {"kind": "folder", "x": 1}, {"kind": "list"}]
)
def test_it_refuses_what_is_no_rule(content: dict[str, object]) -> None:
    with pytest.raises(InvalidLabelRule):
        parse_spec(content)


def test_a_frozen_rule_comes_back_as_it_was() -> None:
    spec: RuleSpec = FolderRule(level=2)

    assert parse_spec(spec.model_dump()) == spec
