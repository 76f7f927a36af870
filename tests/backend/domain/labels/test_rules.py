from pathlib import PurePosixPath

import pytest

from backend.domain.labels.rules import (
    FolderRule,
    InvalidLabelRule,
    RuleSpec,
    apply_rule,
    clean_label,
    parse_rule,
    parse_spec,
)


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
