"""Imports run one way; the contracts stand in ``pyproject.toml``."""

import os
from pathlib import Path

import grimp
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parents[2]
DOORS = ("endpoints", "pages")


def test_imports_run_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        status = lint_imports(config_filename="pyproject.toml", no_cache=True)
    finally:
        os.chdir(before)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_nothing_but_the_wiring_imports_endpoints_and_pages() -> None:
    graph = grimp.build_graph("backend", "worker", cache_dir=None)
    doors = [name for name in graph.modules if kind(name) in DOORS]

    used = [(importer, door) for door in doors for importer in graph.find_modules_that_directly_import(door)]

    assert len(doors) >= 10
    assert sorted(pair for pair in used if pair[0] != "backend.app" and not are_of_one_door(*pair)) == []


def kind(module: str) -> str:
    """``pages`` for ``backend.datasets.labels.pages``."""
    return module.rpartition(".")[2].rpartition("_")[2]


def are_of_one_door(first: str, second: str) -> bool:
    """Whether one feature has split its pages, or its endpoints, into several files."""
    return kind(first) == kind(second) and first.rpartition(".")[0] == second.rpartition(".")[0]
