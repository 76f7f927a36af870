"""JSON bodies of suspects."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from backend.datasets.urls import image_url, thumbnail_url
from backend.domain.manifest import Split
from backend.interpretation.suspects.finding import Suspect
from backend.pagination import Page


class SignalsRead(BaseModel):
    """What speaks against a label; null where it isn't known."""

    loss: float | None = Field(description="The training's loss on the picture in nats, where it was held out.")
    confident_learning: float | None = Field(
        description="Logit of the label minus that of `proposed`, by a linear model that hasn't learnt from the "
        "picture; negative where `proposed` fits better."
    )
    neighbours: float | None = Field(description="Share of the 10 most similar pictures that have another label.")
    duplicate: bool = Field(description="Whether the same picture is also there with another label.")


class SuspectRead(BaseModel):
    """A picture whose label is probably wrong; ``score`` in [0, 1]."""

    image_id: str
    path: str
    split: Split
    label: str
    proposed: str
    score: float
    signals: SignalsRead
    why: str
    image_url: str
    thumbnail_url: str

    @classmethod
    def of(cls, suspect: Suspect, root_path: str) -> Self:
        """URLs begin with the path under which a proxy serves us."""
        return cls(
            image_id=suspect.id,
            path=suspect.path,
            split=suspect.split,
            label=suspect.label,
            proposed=suspect.proposed,
            score=suspect.score,
            signals=SignalsRead(
                loss=suspect.loss,
                confident_learning=suspect.margin,
                neighbours=suspect.against,
                duplicate=suspect.is_contradicted,
            ),
            why=suspect.why,
            image_url=root_path + image_url(suspect.id, suspect.digest),
            thumbnail_url=root_path + thumbnail_url(suspect.id, digest=suspect.digest),
        )


class SuspectsRead(Page[SuspectRead]):
    """The most suspect first; those about which somebody has decided are left out."""

    status: Literal["ready", "computing"] = Field(description="computing: ask again in some seconds.")
    examined: float | None = Field(
        None, description="Share of the version's pictures whose features are known; others are judged by loss alone."
    )
