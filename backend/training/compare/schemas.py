"""JSON bodies of comparisons."""

from typing import Self

from pydantic import BaseModel, Field

from backend.datasets.urls import image_url, thumbnail_url
from backend.domain.chance import TRAININGS, FlipsByChance
from backend.domain.results import wilson_interval
from backend.domain.trends import Change
from backend.interpretation.comparison import ClassChange, Outcome
from backend.interpretation.schemas import ClassReportRead
from backend.pagination import Page
from backend.training.compare.chance import Chance
from backend.training.compare.service import Compared, ComparedImage, Side


class SideRead(BaseModel):
    """One of the two models, measured on the images that both were tried on; rates in [0, 1]."""

    run_id: str
    name: str
    version_number: int
    checkpoint_id: str
    stage: int
    errors: int
    error_rate: float
    error_rate_interval: tuple[float, float]
    images_only_here: int = Field(description="Validation images of this run that the other one doesn't have.")
    classes_not_learnt: list[str] = Field(description="Labels of today that this model has no class for.")

    @classmethod
    def of(cls, side: Side, errors: int, images: int) -> Self:
        """From the use case's words."""
        return cls(
            run_id=side.run.id,
            name=side.run.name,
            version_number=side.run.version_number,
            checkpoint_id=side.results.checkpoint_id,
            stage=side.results.stage,
            errors=errors,
            error_rate=errors / images,
            error_rate_interval=wilson_interval(errors, images),
            images_only_here=side.images_only_here,
            classes_not_learnt=list(side.not_learnt),
        )


class ClassChangeRead(BaseModel):
    """One class in the results of both models."""

    class_name: str = Field(serialization_alias="class")
    images: int
    now_right: int
    now_wrong: int
    before: ClassReportRead
    after: ClassReportRead

    @classmethod
    def of(cls, change: ClassChange) -> Self:
        """From the use case's words."""
        return cls(
            class_name=change.name,
            images=change.images,
            now_right=change.now_right,
            now_wrong=change.now_wrong,
            before=ClassReportRead.of(change.before),
            after=ClassReportRead.of(change.after),
        )


class DifferenceRead(BaseModel):
    """A setting that differs, in words."""

    name: str
    before: str
    after: str


class ComparedImageRead(BaseModel):
    """An image with both answers; labels and answers have the names of today."""

    image_id: str
    path: str
    change: Outcome
    label: str
    label_before: str = Field(description="Its label when the earlier model was tried on it.")
    predicted_before: str
    predicted_after: str
    probability_before: float
    probability_after: float
    image_url: str
    thumbnail_url: str

    @classmethod
    def of(cls, image: ComparedImage, root_path: str) -> Self:
        """From the use case's words; URLs begin with the path under which a proxy serves us."""
        pair, answer = image.pair, image.after
        return cls(
            image_id=pair.image_id,
            path=answer.path,
            change=pair.outcome,
            label=pair.label,
            label_before=image.before.actual,
            predicted_before=pair.before,
            predicted_after=pair.after,
            probability_before=image.before.probability_predicted,
            probability_after=answer.probability_predicted,
            image_url=root_path + image_url(pair.image_id, answer.digest),
            thumbnail_url=root_path + thumbnail_url(pair.image_id, digest=answer.digest),
        )


class ChanceRead(BaseModel):
    """Answers that became right or wrong between trainings of the later run's head that differ by their seed alone."""

    trainings: int
    images: int
    flips: list[int] = Field(description="For each pair of the trainings.")
    lowest: int
    median: float
    highest: int
    head_alone: bool = Field(
        description="Whether the model itself had more of it trained than its head on stored features: then chance "
        "may change more than is said here."
    )
    message: str

    @classmethod
    def of(cls, found: FlipsByChance, changed: int, *, is_head_alone: bool) -> Self:
        """From the domain's."""
        return cls(
            trainings=TRAININGS,
            images=found.images,
            flips=list(found.counts),
            lowest=found.lowest,
            median=found.middle,
            highest=found.highest,
            head_alone=is_head_alone,
            message=found.sentences(changed),
        )


class RunComparisonRead(BaseModel):
    """What changed from one model to another, on the validation images that both were tried on."""

    before: SideRead
    after: SideRead
    shared_images: int
    relabelled: int = Field(description="Shared images whose label has changed since one of the models was tried.")
    left_out: int = Field(description="Images that both were tried on and that have no label today; they don't count.")
    error_rate_difference: float = Field(description="Of the later model minus that of the earlier one.")
    p_value: float = Field(description="Exact McNemar test: how often chance alone gives as uneven a change.")
    verdict: Change
    message: str
    now_right: int
    now_wrong: int
    still_wrong: int
    both_right: int
    chance: ChanceRead | None = Field(description="What chance in training alone changes; null while it isn't known.")
    chance_unknown: str | None = Field(description="Why `chance` is null, for people.")
    per_class: list[ClassChangeRead]
    settings: list[DifferenceRead]
    images: Page[ComparedImageRead]

    @classmethod
    def of(cls, compared: Compared, chance: Chance, images: Page[ComparedImageRead]) -> Self:
        """From the use case's words."""
        flips, counts = compared.flips, compared.counts
        changed, by_chance = flips.mended + flips.spoiled, chance.flips
        return cls(
            before=SideRead.of(compared.before, flips.wrong_before, flips.images),
            after=SideRead.of(compared.after, flips.wrong_after, flips.images),
            shared_images=flips.images,
            relabelled=len(compared.relabelled),
            left_out=compared.left_out,
            error_rate_difference=(flips.wrong_after - flips.wrong_before) / flips.images,
            p_value=compared.verdict.chance,
            verdict=compared.verdict.change,
            message=compared.verdict.text,
            now_right=counts[Outcome.NOW_RIGHT],
            now_wrong=counts[Outcome.NOW_WRONG],
            still_wrong=counts[Outcome.STILL_WRONG],
            both_right=counts[Outcome.BOTH_RIGHT],
            chance=ChanceRead.of(by_chance, changed, is_head_alone=chance.is_head_alone) if by_chance else None,
            chance_unknown=chance.why_unknown or None,
            per_class=[ClassChangeRead.of(change) for change in compared.classes],
            settings=[DifferenceRead(name=one.name, before=one.before, after=one.after) for one in compared.settings],
            images=images,
        )
