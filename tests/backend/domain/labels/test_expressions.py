from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.errors import InvalidInput
from backend.domain.labels.expressions import InvalidExpression, variables
from backend.domain.labels.rules import (
    apply_rule,
    clean_label,
    parse_rule,
)


def label(rule: dict[str, object], path: str) -> str | None:
    return clean_label(parse_rule(rule).labels([path])[0])


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


names = st.text(st.sampled_from("ab.é _"), min_size=1).filter(lambda name: name not in (".", ".."))


@given(st.lists(names, min_size=1, max_size=4).map("/".join))
def test_it_sees_what_pathlib_sees(path: str) -> None:
    pure = PurePosixPath(path)

    assert variables(path) == {
        "path": path,
        "name": pure.name,
        "stem": pure.stem,
        "suffix": pure.suffix,
        "parent": "" if str(pure.parent) == "." else str(pure.parent),
        "parts": [*pure.parts],
    }


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
def test_it_shows_where_an_expression_is_wrong(expression: str, position: int | None, part: str) -> None:
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
    ],
)
def test_an_expression_that_goes_too_far_is_stopped(expression: str) -> None:
    rule = parse_rule({"kind": "expression", "expression": expression})

    with pytest.raises(InvalidExpression):
        apply_rule(rule, ["b" * 1_000] * 100)


def test_a_path_beyond_any_use_has_no_answer() -> None:
    assert apply_rule(parse_rule({"kind": "expression", "expression": "stem"}), ["b" * 1_001]).labels == {}


def test_a_text_is_split_into_so_many_parts_only() -> None:
    with pytest.raises(InvalidExpression, match="too long"):
        label({"kind": "expression", "expression": "(stem + stem).split('')[0]"}, "b" * 900)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_an_expression_or_refused(text: str) -> None:
    try:
        rule = parse_rule({"kind": "expression", "expression": text or "x"})
        once, twice = (rule.labels(["a/b_1.jpg"])[0] for _ in range(2))
    except InvalidInput:
        return

    assert once == twice
