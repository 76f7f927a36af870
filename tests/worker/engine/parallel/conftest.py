"""Two processes for all trainings of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.engine.parallel.pair import Pair


@pytest.fixture(scope="session")
def shared_pair(weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(weights_folder, tmp_path_factory.mktemp("meetings"))
    yield pair
    pair.close()


@pytest.fixture
def pair(shared_pair: Pair, tiny: object) -> Pair:
    """Two processes that know the tiny network, as this one does while the test lasts."""
    return shared_pair
