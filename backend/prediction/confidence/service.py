"""Confidence of a checkpoint: what was measured, what was chosen, and what a choice would mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from backend.dependencies import Services
from backend.domain.confidence.selective import Answering, answering, answering_by_class, answering_table
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import Detection, Familiarity, detection
from backend.domain.errors import Conflict, InvalidInput
from backend.imaging.pool import DecodingPool
from backend.ledger.job import JobKind, JobState
from backend.ledger.unit_of_work import OpenUnit
from backend.prediction.confidence.measured import Measured, measured_of
from backend.prediction.confidence.parity import parity_of
from backend.prediction.find import source_of
from backend.prediction.models import ModelCache
from backend.training.checkpoint_jobs.service import CheckpointJob, cancel, checkpoint_job, want
from backend.training.confidence.chosen import Chosen, chosen_of, familiarity_of_checkpoint, keep_settings
from backend.training.find import checkpoint_folder, find_checkpoint

SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Assumed shares of unknown pictures in the table."""
USUAL_SHARE: Final = 0.1
_SHOWN_NO_MORE: Final = frozenset({JobState.SUCCEEDED, JobState.CANCELLED, JobState.STOPPING})


class TemperatureUnavailable(Conflict):
    """No temperature can be chosen for this model."""

    code = "temperature-unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(why, advice="Add test pictures and train again, or go on without a temperature.")


class ClassThresholdUnknown(InvalidInput):
    """A threshold for a class that the model doesn't have, or without one for all others."""

    code = "class-threshold-invalid"

    def __init__(self, name: str, *, is_class: bool) -> None:
        words = "There is no threshold for the other classes" if is_class else f"The model has no class called “{name}”"
        super().__init__(
            f"{words}.",
            advice="Send “threshold” as well." if is_class else "Send names of its classes.",
            details={"class": name},
        )


class NotMeasured(Conflict):
    """A limit of strangeness was chosen before strangeness was measured."""

    code = "strangeness-not-measured"

    def __init__(self) -> None:
        super().__init__(
            "What this model's own pictures look like to it hasn't been measured yet.",
            advice="Start the measurement first; it takes a minute or so.",
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants; shares in [0, 1], None for what isn't to be used."""

    temperature: bool = False
    threshold: float | None = None
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    familiar_refused: float | None = None

    @classmethod
    def of(cls, settings: ConfidenceSettings) -> "Choice":
        """The choice that led to settings."""
        return cls(
            settings.temperature is not None, settings.threshold, settings.class_thresholds, settings.familiar_refused
        )


@dataclass(frozen=True, slots=True)
class Confidence:
    """All that is known of a checkpoint's confidence.

    Attributes:
        chosen: what is in force.
        shown: settings that the figures below are for; the chosen ones unless others were asked about.
        now: what the model does with its test pictures by ``shown``; ``by_class`` of those predicted as each class.
        table: the same at usual thresholds.
        measurement: of strangeness, that waits, is under way or has failed.
        detections: what to expect of the limit in ``shown`` by assumed share of unknown pictures, that of ``SHARES``.
        detection: the same for the share that was asked about.
    """

    checkpoint_id: str
    measured: Measured
    chosen: Chosen
    shown: ConfidenceSettings
    now: Answering
    by_class: tuple[Answering, ...]
    table: tuple[Answering, ...]
    familiarity: Familiarity | None
    measurement: CheckpointJob | None
    detections: tuple[Detection, ...]
    detection: Detection | None


def confidence_of(
    session: Session,
    services: Services,
    checkpoint_id: str,
    choice: Choice | None = None,
    share: float = USUAL_SHARE,
) -> Confidence:
    """What is known, and what a choice would mean; without one, what the settings in force mean.

    Args:
        share: the assumed share of unknown pictures, in [0, 1].

    Raises:
        CheckpointNotFound, AnswersMissing
        TemperatureUnavailable, ClassThresholdUnknown, NotMeasured: of the choice.
    """
    row = find_checkpoint(session, checkpoint_id)
    measured = measured_of(checkpoint_folder(services.storage, row), row.id, row.sha256)
    chosen = chosen_of(session, row.id)
    familiarity = familiarity_of_checkpoint(session, row.id) if chosen.measured_at else None
    shown = chosen.settings if choice is None else settings_of(measured, familiarity, choice)
    answered = np.asarray(shown.calibrated(measured.probabilities))
    of = (answered, measured.targets, measured.classes)
    limit = shown.strangeness_limit
    detections: tuple[Detection, ...] = ()
    if familiarity is not None and limit is not None:
        detections = tuple(detection(familiarity, limit, one) for one in (share, *SHARES))
    return Confidence(
        row.id,
        measured,
        chosen,
        shown,
        answering(*of, shown.threshold or 0.0, shown.class_thresholds),
        tuple(answering_by_class(*of, shown.threshold or 0.0, shown.class_thresholds)),
        tuple(answering_table(*of)),
        familiarity,
        _open_or_failed(checkpoint_job(session, row.id, JobKind.STRANGENESS)),
        detections[1:],
        detections[0] if detections else None,
    )


def settings_of(measured: Measured, familiarity: Familiarity | None, choice: Choice) -> ConfidenceSettings:
    """The settings of a choice.

    Raises:
        TemperatureUnavailable, ClassThresholdUnknown, NotMeasured
    """
    temperature = None
    if choice.temperature:
        if measured.temperature is None:
            raise TemperatureUnavailable(measured.why_no_temperature)
        temperature = round(measured.temperature.value, 4)
    for name in choice.class_thresholds:
        if name not in measured.classes or choice.threshold is None:
            raise ClassThresholdUnknown(name, is_class=name in measured.classes)
    limit = None
    if choice.familiar_refused is not None:
        if familiarity is None:
            raise NotMeasured
        limit = familiarity.limit(choice.familiar_refused)
    return ConfidenceSettings(
        temperature, choice.threshold, dict(choice.class_thresholds), choice.familiar_refused, limit
    )


def choose(services: Services, cache: ModelCache, decoders: DecodingPool, checkpoint_id: str, choice: Choice) -> None:
    """Keep a choice with the checkpoint, after a file with it was compared with the answers given here.

    Raises:
        CheckpointNotFound, AnswersMissing, TemperatureUnavailable, ClassThresholdUnknown, NotMeasured
        ExportWouldDiffer, ModelMissing, ModelDamaged, DecodersBusy, DecodersDown
    """
    with services.database.read() as session:
        found = confidence_of(session, services, checkpoint_id, choice)
        source = source_of(session, services.storage, checkpoint_id)
    measure_by = found.familiarity.measure if found.familiarity and found.shown.strangeness_limit is not None else None
    with_choice = replace(source, confidence=found.shown, measure=measure_by)
    parity = None if found.shown.is_empty else parity_of(services, cache, decoders, with_choice)
    with services.database.write() as session:
        keep_settings(session, found.checkpoint_id, found.shown, parity)


def start_measuring(open_unit: OpenUnit, checkpoint_id: str) -> None:
    """Have a worker learn what the model's own pictures look like to it; one measurement at a time.

    Raises:
        CheckpointNotFound
    """
    with open_unit() as unit:
        want(unit, find_checkpoint(unit.session, checkpoint_id).id, JobKind.STRANGENESS, anew=True)


def cancel_measuring(open_unit: OpenUnit, checkpoint_id: str) -> None:
    """Stop the measurement that waits or is under way, soon; nothing is kept of it."""
    with open_unit() as unit:
        cancel(unit.session, checkpoint_id, JobKind.STRANGENESS)


def _open_or_failed(job: CheckpointJob | None) -> CheckpointJob | None:
    return job if job is not None and job.state not in _SHOWN_NO_MORE else None
