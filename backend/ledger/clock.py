"""The database's clock, for leases: two machines may disagree about the time, one database can't.

Times of other columns are labels for people and may come from anywhere.
"""

from datetime import datetime

from sqlalchemy import Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from backend.db.base import UtcDateTime


class database_now(FunctionElement[datetime]):  # named like the SQL function that it is
    """The time at which the database runs the statement, ``offset_s`` seconds later (or earlier)."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, offset_s: float = 0.0) -> None:
        super().__init__(literal(float(offset_s), Float))


@compiles(database_now, "sqlite")
def _sqlite(element: database_now, compiler: SQLCompiler, **options: object) -> str:
    offset = compiler.process(element.clauses, **options)
    # Six digits, as SQLAlchemy writes them: text is compared digit by digit.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', {offset})) || '000')"


@compiles(database_now, "postgresql")
def _postgresql(element: database_now, compiler: SQLCompiler, **options: object) -> str:
    offset = compiler.process(element.clauses, **options)
    # Not now(): that is when the transaction began, perhaps before it waited for a lock.
    return f"(clock_timestamp() + make_interval(secs => {offset}))"
