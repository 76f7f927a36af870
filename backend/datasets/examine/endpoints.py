"""What is known of pictures before training, by REST."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backend.datasets.examine.first_guess import Standing, first_guess
from backend.dependencies import ReadDep, SettingsDep
from backend.domain.results import wilson_interval

router = APIRouter(prefix="/api/v1", tags=["labels and versions"])


class FirstGuessRead(BaseModel):
    """How well a first model would do, judged on the held-out pictures."""

    status: Literal["ready", "waiting", "unavailable"] = Field(
        description="waiting: pictures are still being looked at; unavailable: nobody does, or there are too few."
    )
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = Field(None, description="The true one lies in it with 95 %.")
    images: int | None = Field(None, description="Held-out pictures that were answered.")
    learnt_from: int | None = Field(None, description="Pictures that the first model learnt from.")
    examined: float | None = Field(None, description="Share of the dataset's pictures that have been looked at.")

    @classmethod
    def of(cls, found: Standing) -> "FirstGuessRead":
        """As JSON."""
        if found.guess is None:
            status: Literal["waiting", "unavailable"] = "waiting" if found.is_under_way else "unavailable"
            return cls(status=status, examined=found.examined)
        guess = found.guess
        low, high = wilson_interval(guess.errors, guess.images)
        return cls(
            status="ready",
            accuracy=1 - guess.errors / guess.images,
            accuracy_interval=(1 - high, 1 - low),
            images=guess.images,
            learnt_from=guess.learnt_from,
            examined=found.examined,
        )


@router.get("/versions/{version_id}/first-guess")
def get_first_guess(version_id: str, session: ReadDep, settings: SettingsDep) -> FirstGuessRead:
    """How well a first model would do, before anything is trained."""
    return FirstGuessRead.of(first_guess(session, settings.features_folder, version_id))
