import pytest

from backend.datasets.labels.form import LabelForm
from backend.datasets.labels.view import _parts
from backend.domain.labels.rules import CsvRule, ExpressionRule, FolderRule, ListRule, PatternRule, RuleSpec
from backend.domain.splitting import CsvSplit, FolderSplit, RandomSplit, SplitSpec


@pytest.mark.parametrize(
    ("rule", "split"),
    [
        (FolderRule(level=2), RandomSplit(valid=0.3, test=0.1, seed=7, group="/(.)")),
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
