"""What an attempt writes down about its search for a rate. Every call takes the fence first, as in ``progress``."""

from dataclasses import asdict

from backend.db.session import WriteSession
from backend.domain.lr_finder import Curve, Finding
from backend.ledger.job import Claim, Failure, JobState
from backend.ledger.repository import Ledger
from backend.training.lr_finds.repository import LearningRateFinds


def begin(session: WriteSession, claim: Claim) -> None:
    """The attempt has got going."""
    Ledger(session).begin(claim.job_id, claim.attempt)


def show(session: WriteSession, claim: Claim, *, phase: str | None, progress: float) -> None:
    """How far it is."""
    Ledger(session).progress_seen(claim.job_id, claim.attempt)
    LearningRateFinds(session).show(claim.subject_id, phase=phase, progress=progress)


def finish(session: WriteSession, claim: Claim, curve: Curve, found: Finding) -> JobState:
    """The search is done; its result is kept in the same transaction, unless its owner stopped it first."""
    state = Ledger(session).finish(claim.job_id, claim.attempt)
    if state is JobState.SUCCEEDED:
        result = {**asdict(curve), **asdict(found)}
        LearningRateFinds(session).show(claim.subject_id, result=result, progress=1.0, phase=None)
    return state


def fail(session: WriteSession, claim: Claim, failure: Failure) -> JobState:
    """The search can't be done."""
    state = Ledger(session).fail(claim.job_id, claim.attempt, failure)
    LearningRateFinds(session).show(claim.subject_id, phase=None)
    return state
