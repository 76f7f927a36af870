"""Imports run one way; the contracts stand in ``pyproject.toml``."""

import os
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parents[2]


def test_imports_run_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        status = lint_imports(config_filename="pyproject.toml", no_cache=True)
    finally:
        os.chdir(before)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
