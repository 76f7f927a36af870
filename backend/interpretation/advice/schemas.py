"""JSON bodies of advice."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from backend.interpretation.advice.finding import Advice
from backend.interpretation.advice.lines import Kind


class AdviceLineRead(BaseModel):
    """One thing that can be done."""

    kind: Kind
    message: str
    effect: str = Field(description="What it would do, in words; “can't tell” where the range includes nothing.")
    mistakes_low: int | None = Field(description="Mistakes on the validation images that it would mend, at least.")
    mistakes_high: int | None
    action: str
    url: str


class AdviceRead(BaseModel):
    """What would help a run's results, the most first."""

    status: Literal["ready", "computing"] = Field(description="computing: ask again in some seconds.")
    items: list[AdviceLineRead]
    errors: int | None = Field(None, description="Mistakes of the run on its validation images.")
    linear_errors: int | None = Field(None, description="Those of the linear model that learning curves are made with.")

    @classmethod
    def of(cls, found: Advice | None, root_path: str) -> Self:
        """URLs begin with the path under which a proxy serves us."""
        if found is None:
            return cls(status="computing", items=[])
        items = [
            AdviceLineRead(
                kind=line.kind,
                message=line.words,
                effect=line.effect,
                mistakes_low=line.low,
                mistakes_high=line.high,
                action=line.action,
                url=root_path + line.path,
            )
            for line in found.lines
        ]
        return cls(status="ready", items=items, errors=found.errors, linear_errors=found.linear_errors)
