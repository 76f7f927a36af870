"""JSON bodies of the results."""

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import BaseModel, Field

from backend.datasets.urls import image_url, thumbnail_url
from backend.domain.results import ClassReport, Confusion
from backend.interpretation.answers import AnsweredImage
from backend.interpretation.service import Results, Summary
from backend.interpretation.urls import heatmap_url


class ClassReportRead(BaseModel):
    """How one class fares, with 95 % intervals; null where it can't be said, because there were no such pictures."""

    class_name: str = Field(serialization_alias="class")
    precision: float | None
    precision_interval: tuple[float, float] | None
    recall: float | None
    recall_interval: tuple[float, float] | None
    f1: float | None
    f1_interval: tuple[float, float] | None
    images: int

    @classmethod
    def of(cls, report: ClassReport) -> Self:
        """From the domain's report."""
        return cls(
            class_name=report.name,
            precision=report.precision,
            precision_interval=report.precision_interval,
            recall=report.recall,
            recall_interval=report.recall_interval,
            f1=report.f1,
            f1_interval=report.f1_interval,
            images=report.images,
        )


class EvaluationRead(BaseModel):
    """The figures of one checkpoint on one split; rates in [0, 1], the loss in nats."""

    accuracy: float
    error_rate: float
    error_rate_interval: tuple[float, float]
    loss: float
    images: int
    per_class: list[ClassReportRead]
    checkpoint_id: str
    split: str

    @classmethod
    def of(cls, results: Results, summary: Summary) -> Self:
        """From the sums."""
        return cls(
            accuracy=1 - summary.error_rate,
            error_rate=summary.error_rate,
            error_rate_interval=summary.error_rate_interval,
            loss=summary.loss,
            images=summary.images,
            per_class=[ClassReportRead.of(report) for report in summary.per_class],
            checkpoint_id=results.checkpoint_id,
            split=results.split,
        )


class ConfusionMatrixRead(BaseModel):
    """Image counts; rows are actual classes, columns predicted ones, both in the order of ``classes``."""

    classes: list[str]
    matrix: list[list[int]]


class ConfusionRead(BaseModel):
    """One pair that is mixed up, and how often it is the other way round."""

    actual: str
    predicted: str
    count: int
    image_ids: list[str] = Field(description="At most 6 of the images, worst first; `GET /runs/{id}/images` lists all.")
    reverse_count: int = Field(description="Images of class `predicted` that were predicted as `actual`.")
    reverse_image_ids: list[str] = Field(description="At most 6 of those, worst first.")

    @classmethod
    def of(cls, pair: Confusion, reverse_count: int, images: Mapping[tuple[str, str], Sequence[AnsweredImage]]) -> Self:
        """From the domain's pair; ``images`` by (actual, predicted)."""
        one_way, other_way = (pair.actual, pair.predicted), (pair.predicted, pair.actual)
        return cls(
            actual=pair.actual,
            predicted=pair.predicted,
            count=pair.count,
            image_ids=[image.image_id for image in images.get(one_way, [])],
            reverse_count=reverse_count,
            reverse_image_ids=[image.image_id for image in images.get(other_way, [])],
        )


class AnsweredImageRead(BaseModel):
    """One image and what the model said of it."""

    image_id: str
    path: str
    actual: str
    predicted: str
    loss: float
    probability_actual: float
    probability_predicted: float
    image_url: str
    thumbnail_url: str
    heatmap_url: str

    @classmethod
    def of(cls, image: AnsweredImage, results: Results, root_path: str) -> Self:
        """From the row; URLs begin with the path under which a proxy serves us."""
        return cls(
            image_id=image.image_id,
            path=image.path,
            actual=image.actual,
            predicted=image.predicted,
            loss=image.loss,
            probability_actual=image.probability_actual,
            probability_predicted=image.probability_predicted,
            image_url=root_path + image_url(image.image_id),
            thumbnail_url=root_path + thumbnail_url(image.image_id),
            heatmap_url=root_path + heatmap_url(results.run_id, image.image_id, results.checkpoint_id),
        )
