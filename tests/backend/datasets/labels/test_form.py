import pytest

from backend.datasets.labels.form import EmptyRule, InvalidForm, LabelForm, fields_of
from backend.datasets.labels.view import _parts
from backend.domain.errors import InvalidInput
from backend.domain.labels.expressions import InvalidExpression
from backend.domain.labels.rules import CsvRule, ExpressionRule, FolderRule, ListRule, PatternRule, RuleSpec
from backend.domain.labels.tables import UnknownColumn
from backend.domain.splitting import CsvSplit, FolderSplit, NoGroups, RandomSplit, SplitSpec
from backend.domain.trainable import NoValidationImages


@pytest.mark.parametrize(
    ("rule", "split"),
    [
        (FolderRule(level=2), RandomSplit(valid=0.3, test=0.1, seed=7, group="/(.)")),
        (FolderRule(leave_out=("Skip", "Not sure, perhaps")), RandomSplit(valid=0.125)),
        (PatternRule(pattern="/(x)"), FolderSplit(valid="val")),
        (CsvRule(file="a.csv", label_column="breed"), CsvSplit(column="held_out")),
        (ExpressionRule(expression="stem"), RandomSplit()),
        (ListRule(labels={"a/1.png": "cat", "a, b.png": None}), RandomSplit()),
    ],
)
def test_a_rule_goes_through_the_form_and_back(rule: RuleSpec, split: SplitSpec) -> None:
    form = LabelForm.of_specs(rule, split)

    assert form.rule == rule
    assert form.split_spec == split


def form(**fields: str) -> LabelForm:
    return LabelForm.of_fields(fields)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"level": "x"}, {"level": "The folder must be a whole number from 1 to 32."}),
        ({"level": ""}, {"level": "The folder must be a whole number from 1 to 32."}),
        ({"valid": "0"}, {"valid": "The share held out must be a number from 1 to 90."}),
        ({"valid": "many"}, {"valid": "The share held out must be a number from 1 to 90."}),
        ({"valid": "nan"}, {"valid": "The share held out must be a number from 1 to 90."}),
        ({"test": "-5"}, {"test": "The share for a final test must be a number from 0 to 90."}),
        ({"seed": "1.5"}, {"seed": "The seed must be a whole number from 0."}),
        ({"seed": "9" * 40}, {"seed": "The seed must be a whole number from 0."}),
        (
            {"valid": "90", "test": "90"},
            {"test": "Valid and test together must be at most 0.95, so that something is left to learn from."},
        ),
        (
            {"split": "folder", "train_folder": ""},
            {"train_folder": "The folder to learn from must be text of 1 to 200 characters."},
        ),
        ({"split": "csv", "column": " "}, {"column": "The column must be text of 1 to 200 characters."}),
        ({"leave_out": "x" * 201}, {"leave_out": "A class to leave out must be text of 1 to 200 characters."}),
        (
            {"kind": "list", "labels": "a/1.jpg"},
            {"labels": "Line 1 has no label: “a/1.jpg”. Put a comma between path and label: a/1.jpg, cat"},
        ),
    ],
)
def test_each_field_has_a_sentence_of_its_own(fields: dict[str, str], wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidForm) as refusal:
        _ = form(**fields).specs

    assert refusal.value.fields == wrong


def test_all_bad_fields_are_reported_at_once() -> None:
    with pytest.raises(InvalidForm) as refusal:
        _ = form(level="0", valid="0", seed="-1").specs

    assert set(refusal.value.fields) == {"level", "valid", "seed"}


@pytest.mark.parametrize("kind", ["pattern", "expression", "list"])
def test_a_field_that_is_empty_yet_is_no_mistake(kind: str) -> None:
    with pytest.raises(EmptyRule) as refusal:
        _ = form(kind=kind).specs

    assert refusal.value.code == "label-rule-empty"


def test_a_percentage_may_be_typed_as_people_write_it() -> None:
    assert form(valid="12,5 %").split_spec == RandomSplit(valid=0.125)


@pytest.mark.parametrize(
    ("error", "fields", "field"),
    [
        (NoGroups("/(x)", "a/1.jpg"), {}, "group"),
        (UnknownColumn("labels.csv", "breed", ["name"]), {"kind": "csv", "label_column": "breed"}, "label_column"),
        (NoValidationImages(), {}, "split"),
        (InvalidExpression("No."), {"kind": "expression"}, "expression"),
    ],
)
def test_a_refusal_is_beside_the_field_it_is_about(error: InvalidInput, fields: dict[str, str], field: str) -> None:
    assert [*fields_of(error, form(**fields))] == [field]


def test_the_marked_part_of_a_name_is_its_label() -> None:
    parts = _parts("pets/Maine_Coon_181.jpg", "Maine_Coon", PatternRule(pattern="x"))

    assert [(part.text, part.is_label) for part in parts] == [
        ("pets", False),
        ("/", False),
        ("Maine_Coon", True),
        ("_", False),
        ("181", False),
        (".jpg", False),
    ]
