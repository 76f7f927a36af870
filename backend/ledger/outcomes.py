"""How an attempt at a job is recorded."""

from backend.ledger.job import (
    JobState,
    Outcome,
)
from backend.tables.ledger import JobRow


def recorded_outcome(outcome: Outcome, found: JobState | None, job: JobRow, attempt: int) -> Outcome:
    """How the attempt is recorded: what became of the job is more telling than how the process ended."""
    if job.attempt == attempt and job.state == JobState.SUCCEEDED:
        return Outcome.DONE
    if job.attempt == attempt and job.state == JobState.PAUSED:
        return Outcome.PAUSED
    state = found or JobState(job.state)
    if state is JobState.CANCELLED:
        return Outcome.CANCELLED
    if found is None and outcome is Outcome.DONE and state is JobState.FAILED:
        return Outcome.FAILED
    return outcome
