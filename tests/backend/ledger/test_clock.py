from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from backend.db.session import Database
from backend.domain.ids import JobId
from backend.ledger.clock import database_now
from backend.tables.ledger import JobRow
from tests.backend.ledger.conftest import Books


def test_it_tells_the_time_in_utc(database: Database) -> None:
    with database.read() as session:
        found = session.execute(select(database_now())).scalar_one()

    assert abs(found - datetime.now(UTC)) < timedelta(seconds=5)


def test_it_counts_forwards_and_backwards(database: Database) -> None:
    with database.read() as session:
        early, now, late = session.execute(select(database_now(-60), database_now(), database_now(0.5))).one()

    assert timedelta(seconds=59) < now - early < timedelta(seconds=61)
    assert timedelta(seconds=0.4) < late - now < timedelta(seconds=0.6)


def test_it_compares_with_times_that_were_written_from_here(books: Books) -> None:
    job_id: JobId = books.add()
    books.change(job_id, not_before=datetime.now(UTC) + timedelta(seconds=30))

    with books.database.read() as session:
        later = session.scalars(select(JobRow.id).where(JobRow.not_before > database_now(20))).all()
        earlier = session.scalars(select(JobRow.id).where(JobRow.not_before < database_now(40))).all()

    assert (later, earlier) == ([job_id], [job_id])
