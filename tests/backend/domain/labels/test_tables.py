import pytest

from backend.domain.labels.names import NameIndex
from backend.domain.labels.rules import (
    ByTable,
    CsvRule,
    LabelRule,
    apply_rule,
    parse_rule,
)
from backend.domain.labels.tables import InvalidTable, Table, UnknownColumn, joined_labels


def table(*lines: str, images: tuple[str, ...] = ("a/1.jpg", "b/2.jpg", "b/3.jpg")) -> Table:
    return Table.of("labels.csv", [line.split(",") for line in lines], NameIndex.of(images))


def by_table(found: Table, images: tuple[str, ...] = ("a/1.jpg", "b/2.jpg", "b/3.jpg"), **columns: str) -> LabelRule:
    return parse_rule(CsvRule.model_validate({"kind": "csv", **columns}), paths=images, table=found)


def labels(rule: LabelRule, images: tuple[str, ...] = ("a/1.jpg", "b/2.jpg", "b/3.jpg")) -> dict[str, str]:
    return dict(apply_rule(rule, images).labels)


def test_it_finds_the_columns_of_the_course() -> None:
    rule = by_table(table("name,label", "a/1.jpg,3", "b/2.jpg,7", "b/3.jpg,7"))

    assert labels(rule) == {"a/1.jpg": "3", "b/2.jpg": "7", "b/3.jpg": "7"}
    assert isinstance(rule, ByTable)
    assert (rule.image_column, rule.label_columns) == ("name", ("label",))


def test_it_takes_a_column_of_that_name_wherever_it_stands() -> None:
    rule = by_table(table("id,is_valid,Label,file", "9,0,x,1.jpg", "8,1,y,2.jpg", "7,0,y,3.jpg"))

    assert labels(rule) == {"a/1.jpg": "x", "b/2.jpg": "y", "b/3.jpg": "y"}


def test_it_prefers_a_column_that_repeats_itself() -> None:
    rule = by_table(table("file,url,breed", "1.jpg,u1,x", "2.jpg,u2,x", "3.jpg,u3,x"))

    assert isinstance(rule, ByTable)
    assert rule.label_columns == ("breed",)


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
    assert rule.lookup.match.unmatched == ("gone.jpg",)


def test_it_names_the_columns_there_are() -> None:
    with pytest.raises(UnknownColumn) as refusal:
        by_table(table("file,breed,is_valid", "1.jpg,x,0"), image_column="name")

    assert refusal.value.message == "labels.csv has no column called name. It has: file, breed, is_valid."


@pytest.mark.parametrize(
    "lines",
    [("name,label", "x.jpg,cat"), ("name", "1.jpg"), ("",), (",,", "")],
    ids=["others", "one", "empty", "blank"],
)
def test_it_refuses_a_table_that_shows_nothing(lines: tuple[str, ...]) -> None:
    with pytest.raises(InvalidTable):
        by_table(table(*lines))


def test_a_column_of_small_numbers_is_not_taken_for_names() -> None:
    images = tuple(f"train/{n}.png" for n in range(30))
    rule = by_table(table("id,label", *(f"{n},{n % 10}" for n in range(30)), images=images), images)

    assert isinstance(rule, ByTable)
    assert (rule.image_column, rule.label_columns) == ("id", ("label",))


def test_columns_named_like_numbers_are_still_a_header() -> None:
    images = ("0.png", "1.png", "2.png")
    found = table("file,0,1", "0.png,1,0", "1.png,0,1", "2.png,1,0", images=images)

    assert found.has_header
    assert labels(by_table(found, images), images) == {"0.png": "0", "1.png": "1", "2.png": "0"}


def test_a_row_with_several_ones_has_no_label_and_is_told() -> None:
    rule = by_table(table("name,cat,dog", "1.jpg,1,0", "2.jpg,1,1", "3.jpg,0,1"))

    assert labels(rule) == {"a/1.jpg": "cat", "b/3.jpg": "dog"}
    assert isinstance(rule, ByTable)
    assert rule.several == "2.jpg"


def test_flags_beside_a_column_of_words_are_no_classes() -> None:
    rule = by_table(table("name,breed,indoors,collar", "1.jpg,x,1,1", "2.jpg,x,0,0", "3.jpg,x,1,1"))

    assert isinstance(rule, ByTable)
    assert rule.label_columns == ("breed",)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (("haze primary", "clear primary", "haze water", "clear water"), "haze primary"),
        (("cat|indoors", "dog|indoors", "cat|outdoors", "dog|outdoors"), "cat|indoors"),
        (("Maine Coon", "British Shorthair", "Bengal"), None),
        (("cat", "dog"), None),
    ],
)
def test_it_sees_cells_with_several_labels(values: tuple[str, ...], found: str | None) -> None:
    assert joined_labels(values) == found


def test_it_shows_one_name_of_each_side_where_none_fits() -> None:
    with pytest.raises(InvalidTable) as refusal:
        by_table(table("name,label", "x.jpg,cat", "y.jpg,dog"))

    assert refusal.value.advice == (
        "The table has “x.jpg”, and a picture is called “a/1.jpg”. Give both the same names."
    )
