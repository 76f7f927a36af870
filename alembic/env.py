"""How Alembic meets our database: called by ``backend.migrations``, or by the ``alembic`` command in development."""

from typing import cast

from sqlalchemy import Connection

from alembic import context
from backend.tables.metadata import metadata


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        # SQLite can't alter a column: Alembic copies the table instead.
        render_as_batch=True,
        # SQLite's tables are transactional too, once the driver is kept from committing by itself.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _connection() -> Connection:
    connection = context.config.attributes.get("connection")
    assert connection is not None, "run `tellapart migrate`, or give a connection in the config's attributes"
    return cast(Connection, connection)


_migrate(_connection())
