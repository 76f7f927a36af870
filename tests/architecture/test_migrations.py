"""A committed migration stays as it is: databases that are past it would never learn of an edit."""

import hashlib
from pathlib import Path

ALEMBIC = Path(__file__).resolve().parents[2] / "alembic"


def test_no_committed_migration_is_edited() -> None:
    lines = (ALEMBIC / "versions.sha256").read_text("ascii").splitlines()
    listed = {file: digest for digest, file in (line.split("  ") for line in lines)}
    found = {
        f"versions/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((ALEMBIC / "versions").glob("*.py"))
    }

    # For a new migration: (cd alembic && sha256sum versions/*.py > versions.sha256). An old one is mended by the next.
    assert found == listed
