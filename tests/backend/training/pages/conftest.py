"""A version to train on."""

import pytest

from backend.db.session import Database
from backend.domain.ids import VersionId, new_id
from backend.tables.datasets import DatasetRow, VersionRow
from tests.backend.training.pages.rows import HOSTILE


@pytest.fixture
def version_id(database: Database) -> VersionId:
    """A version that can be trained on; one class has a hostile name."""
    counts = {name: {"train": 8, "valid": 2, "test": 0} for name in ("cat", HOSTILE)}
    with database.write() as session:
        dataset = DatasetRow(id=new_id(), name=f"animals {HOSTILE}", images=20, bytes=20)
        session.add(dataset)
        session.flush()
        version = VersionRow(
            id=new_id(), dataset_id=dataset.id, number=1, classes=list(counts), counts=counts,
            rule={"kind": "folder", "level": 1}, split={}, overrides=[],
        )  # fmt: skip
        session.add(version)
        return VersionId(version.id)
