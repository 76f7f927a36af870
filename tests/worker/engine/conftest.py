"""The tiny network, in the catalogue while a test lasts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.domain.architectures import Architecture
from tests.fixtures.engine import tiny_registered


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def tiny(weights_folder: Path) -> Iterator[Architecture]:
    with tiny_registered(weights_folder) as entry:
        yield entry
