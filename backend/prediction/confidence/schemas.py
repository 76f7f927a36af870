"""JSON bodies about the confidence of a checkpoint."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.confidence.calibration import Bin, Calibration, Temperature
from backend.domain.confidence.selective import Answering
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import Detection, Method
from backend.domain.json import Json
from backend.prediction.confidence.service import Choice, Confidence

Share = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[float, float]


class BinRead(BaseModel):
    """Pictures whose confidence lies from ``low`` to ``high``; null where there are none."""

    low: float
    high: float
    images: int
    right: int
    confidence: float | None = Field(description="Their mean confidence.")
    accuracy: float | None = Field(description="The share of them that is right.")
    accuracy_interval: Interval

    @classmethod
    def of(cls, one: Bin) -> Self:
        """From the domain's bin."""
        return cls(
            low=one.low,
            high=one.high,
            images=one.images,
            right=one.right,
            confidence=one.confidence,
            accuracy=one.accuracy,
            accuracy_interval=one.interval,
        )


class CalibrationRead(BaseModel):
    """How confidence and truth go together."""

    ece: float = Field(description="Expected calibration error, in 10 equal steps of confidence.")
    ece_by_chance: float = Field(
        description="A perfectly calibrated model stays below this in 95 of 100 draws of as many pictures."
    )
    nll: float = Field(description="Mean negative log-likelihood in nats.")
    mean_confidence: float
    accuracy: float
    curve: list[BinRead]

    @classmethod
    def of(cls, found: Calibration) -> Self:
        """From the domain's."""
        return cls(
            ece=found.ece,
            ece_by_chance=found.ece_by_chance,
            nll=found.nll,
            mean_confidence=found.confidence,
            accuracy=found.accuracy,
            curve=[BinRead.of(one) for one in found.bins],
        )


class TemperatureRead(BaseModel):
    """One temperature; ``after`` is cross-fitted: measured on pictures that it wasn't chosen on."""

    value: float
    lowest_of_folds: float
    highest_of_folds: float
    helps: bool
    after: CalibrationRead

    @classmethod
    def of(cls, found: Temperature) -> Self:
        """From the domain's."""
        return cls(
            value=found.value,
            lowest_of_folds=found.low,
            highest_of_folds=found.high,
            helps=found.helps,
            after=CalibrationRead.of(found.after),
        )


class AnsweringRead(BaseModel):
    """What the model does at a threshold; of a class: with the pictures predicted as it."""

    class_name: str | None = Field(None, serialization_alias="class")
    threshold: float
    images: int
    answered: int
    wrong: int
    coverage: float
    coverage_interval: Interval
    error_rate: float | None
    error_rate_interval: Interval

    @classmethod
    def of(cls, one: Answering, class_name: str | None = None) -> Self:
        """From the domain's."""
        return cls(
            class_name=class_name,
            threshold=one.threshold,
            images=one.images,
            answered=one.answered,
            wrong=one.wrong,
            coverage=one.coverage,
            coverage_interval=one.coverage_interval,
            error_rate=one.error_rate,
            error_rate_interval=one.error_interval,
        )


class DetectionRead(BaseModel):
    """What to expect of the limit if ``unknown_share`` of the pictures shows something else."""

    unknown_share: float
    familiar_refused: float
    unknown_refused: float
    precision: float | None

    @classmethod
    def of(cls, one: Detection) -> Self:
        """From the domain's."""
        return cls(
            unknown_share=one.share,
            familiar_refused=one.refused_familiar,
            unknown_refused=one.refused_strange,
            precision=one.precision,
        )


class NoneOfTheseRead(BaseModel):
    """Whether pictures of something else can be noticed; ``images_done`` and ``images_total`` while it is measured."""

    status: Literal["not_measured", "measuring", "failed", "ready"]
    message: str = ""
    images_done: int | None = None
    images_total: int | None = None
    method: Method | None = None
    learnt_from: int | None = None
    auroc: float | None = Field(
        None, description="How often a test picture is stranger when its class is left out than those of known classes."
    )
    detections: list[DetectionRead] = Field(default_factory=list)

    @classmethod
    def of(cls, found: Confidence) -> Self:
        """From what is known."""
        under_way, known = found.measurement, found.familiarity
        if under_way is not None and not under_way.is_over:
            return cls(status="measuring", images_done=under_way.done, images_total=under_way.total)
        if known is None:
            message = under_way.failed if under_way else ""
            return cls(status="failed" if message else "not_measured", message=message)
        return cls(
            status="ready",
            method=known.method,
            learnt_from=known.learnt_from,
            auroc=known.auroc,
            detections=[DetectionRead.of(one) for one in found.detections],
        )


class SettingsRead(BaseModel):
    """What was chosen; null for what isn't used."""

    temperature: float | None
    threshold: float | None
    class_thresholds: dict[str, float]
    familiar_refused: float | None
    strangeness_limit: float | None

    @classmethod
    def of(cls, settings: ConfidenceSettings) -> Self:
        """From the domain's."""
        return cls(**settings.to_json())


class ConfidenceRead(BaseModel):
    """All that is known of a checkpoint's confidence, from its answers on its test pictures."""

    checkpoint_id: str
    images: int
    settings: SettingsRead
    parity: dict[str, Json] | None = Field(
        description="How exported files with these settings compare with the answers given here."
    )
    calibration: CalibrationRead
    temperature: TemperatureRead | None
    temperature_refused: str | None = Field(description="Why there is no temperature, for people.")
    answering: AnsweringRead = Field(description="With the settings in force.")
    per_class: list[AnsweringRead]
    coverage: list[AnsweringRead]
    none_of_these: NoneOfTheseRead

    @classmethod
    def of(cls, found: Confidence) -> Self:
        """From what is known."""
        measured = found.measured
        return cls(
            checkpoint_id=found.checkpoint_id,
            images=len(measured.targets),
            settings=SettingsRead.of(found.chosen.settings),
            parity=None if found.chosen.parity is None else dict(found.chosen.parity),
            calibration=CalibrationRead.of(measured.plain),
            temperature=None if measured.temperature is None else TemperatureRead.of(measured.temperature),
            temperature_refused=measured.why_no_temperature or None,
            answering=AnsweringRead.of(found.now),
            per_class=_of_classes(measured.classes, found.by_class),
            coverage=[AnsweringRead.of(one) for one in found.table],
            none_of_these=NoneOfTheseRead.of(found),
        )


def _of_classes(classes: Iterable[str], found: Iterable[Answering]) -> list[AnsweringRead]:
    return [AnsweringRead.of(one, name) for name, one in zip(classes, found, strict=True)]


class ConfidenceIn(BaseModel):
    """What is to be used from now on; what is left out isn't used."""

    model_config = ConfigDict(extra="forbid")

    temperature: bool = Field(False, description="Whether the temperature that was found is used.")
    threshold: Share | None = Field(None, description="The confidence from which on the model answers.")
    class_thresholds: dict[str, Share] = Field(default_factory=dict, max_length=10_000)
    familiar_refused: Annotated[float, Field(gt=0, le=0.5)] | None = Field(
        None,
        description="The share of pictures of its own classes that may be taken for something else; the limit of "
        "strangeness follows from it.",
    )

    @property
    def choice(self) -> Choice:
        """As the use case takes it."""
        return Choice(self.temperature, self.threshold, self.class_thresholds, self.familiar_refused)
