from pathlib import PurePosixPath

import pytest

from backend.domain.labels.rules import (
    ByTable,
    CsvRule,
    LabelRule,
    apply_rule,
    parse_rule,
)
from backend.domain.labels.tables import InvalidTable, Table, UnknownColumn


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
