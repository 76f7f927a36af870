"""How many answers chance in training alone would have changed, beside a comparison."""

from dataclasses import dataclass

from backend.dependencies import Services
from backend.domain.chance import TRAININGS, FlipsByChance, flips_by_chance, is_trained_so
from backend.domain.training import TrainingConfig
from backend.ledger.job import JobKind, JobState
from backend.training.checkpoint_jobs.service import CheckpointJob, checkpoint_job, want
from backend.training.compare.service import Compared


@dataclass(frozen=True, slots=True)
class Chance:
    """What is known of chance in the training of the later model.

    Attributes:
        flips: None while it isn't known.
        job: that counts them; None where there can be none.
        is_head_alone: whether more than what was trained again was trained in the model itself.
    """

    flips: FlipsByChance | None
    job: CheckpointJob | None
    is_head_alone: bool

    @property
    def is_under_way(self) -> bool:
        """Whether it will be known by itself."""
        return self.job is not None and not self.job.is_over

    @property
    def why_unknown(self) -> str:
        """For people; empty where it is known."""
        if self.flips is not None:
            return ""
        if self.job is None or self.job.state is JobState.CANCELLED:
            return "How many answers chance alone changes hasn't been counted."
        if self.job.is_over:
            return f"How many answers chance alone changes can't be said. {self.job.failed}".strip()
        if self.job.is_waiting:
            return "How many answers chance alone changes will be counted as soon as a worker is free."
        return (
            "Counting how many answers chance alone changes: "
            f"{self.job.done} of {TRAININGS} trainings of the head are done."
        )


def chance_of(services: Services, compared: Compared) -> Chance:
    """What is known now. Where nobody has asked for it, or it failed a while ago, a worker is asked to count it."""
    checkpoint_id = compared.after.results.checkpoint_id
    with services.database.read() as session:
        job = checkpoint_job(session, checkpoint_id, JobKind.FLIPS)
    if job is None or (job.may_retry and job.found is None):
        with services.open_unit()() as unit:
            want(unit, checkpoint_id, JobKind.FLIPS)
            job = checkpoint_job(unit.session, checkpoint_id, JobKind.FLIPS)
    is_head_alone = not is_trained_so(
        TrainingConfig.model_validate(compared.after.run.config), compared.after.results.stage
    )
    return Chance(_counted(job, compared), job, is_head_alone)


def _counted(job: CheckpointJob | None, compared: Compared) -> FlipsByChance | None:
    if job is None or job.found is None:
        return None
    labels: dict[str, str] = {pair.image_id: pair.label for pair in compared.pairs}
    return flips_by_chance(job.found["disagreeing"], labels, len(job.found["seeds"]), compared.names_after)
