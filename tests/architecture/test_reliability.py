"""Each scenario of the handbook's page on reliability names the tests that play it, and they are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = [
    *(f"J{number:02}" for number in range(1, 25)),
    *(f"B{number:02}" for number in range(1, 12)),
    *(f"G{number:02}" for number in range(1, 16)),
    # U13 and U15 are about uploads in bundles: tests/backend/datasets/test_uploads.py.
    *(f"U{number:02}" for number in (*range(1, 13), 14, 16)),
    *(f"S{number:02}" for number in range(1, 10)),
]


def rows() -> dict[str, list[tuple[str, str]]]:
    """For each scenario, its tests as (file, name)."""
    page = (ROOT / "docs/reliability.md").read_text("utf-8")
    found = {}
    for scenario, cells in re.findall(r"^\| ([JBGUS]\d\d) \|(.*)$", page, re.MULTILINE):
        found[scenario] = re.findall(r"`(tests/\S+?\.py)::(test_\w+)`", cells)
    return found


def test_every_scenario_is_in_the_handbook() -> None:
    assert sorted(rows()) == sorted(EXPECTED)


@pytest.mark.parametrize("scenario", EXPECTED)
def test_its_tests_are_there(scenario: str) -> None:
    tests = rows()[scenario]

    assert tests != []
    missing = [
        f"{file}::{name}"
        for file, name in tests
        if not (ROOT / file).is_file() or f"def {name}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert missing == []
