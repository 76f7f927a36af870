import pickle

import pytest

from backend.domain.labels.expressions import InvalidExpression
from backend.domain.labels.rules import (
    FolderRule,
    InvalidLabelRule,
    LabelTooLong,
    RuleSpec,
    apply_rule,
    clean_label,
    kept_labels,
    labels_left_out,
    parse_rule,
    parse_spec,
)


def label(rule: dict[str, object], path: str) -> str | None:
    return clean_label(parse_rule(rule).labels([path])[0])


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
    ("given", "kept"),
    [
        ("  cat ", "cat"),
        ("", None),
        (" \t", None),
        ("a\nb", "a b"),
        ("x" * 200, "x" * 200),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
        ("\u200d", None),
        ("cafe\u0301", "caf\u00e9"),
    ],
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


def test_it_refuses_a_label_that_is_too_long_instead_of_cutting_it() -> None:
    with pytest.raises(LabelTooLong) as refusal:
        apply_rule(parse_rule({"kind": "folder"}), [f"{'x' * 201}/1.png", "cat/1.png"])

    assert refusal.value.message == f"The label “{'x' * 60}…” has 201 characters; a class name may have 200."


def test_it_leaves_out_the_classes_it_is_asked_to() -> None:
    labelling = apply_rule(parse_rule({"kind": "folder"}), ["cat/1.png", "Skip/2.png", "3.png"], ["skip "])

    assert labelling.labels == {"cat/1.png": "cat"}
    assert labelling.unlabelled == ("Skip/2.png", "3.png")
    assert labelling.left_out == ("Skip/2.png",)


def test_labels_come_in_the_order_of_the_paths() -> None:
    paths = [" cat/1.png", "2.png", "Skip/3.png", "cat/4.png"]

    labels = kept_labels(parse_rule({"kind": "folder"}), paths)

    assert labels == ["cat", None, "Skip", "cat"]
    assert labels_left_out(labels, ["skip ", "dog"]) == {"Skip"}


def test_an_error_comes_whole_out_of_another_process() -> None:
    refusal = pickle.loads(pickle.dumps(InvalidExpression("No.", position=3)))

    assert (refusal.message, refusal.position, refusal.details) == ("No.", 3, {"position": 3})
