"""JSON bodies of predictions."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.confidence.settings import Verdict
from backend.prediction.covering import Cover, CoveredAnswers, Stroke
from backend.prediction.service import Answer, Answers, Refusal

Share = Annotated[float, Field(ge=0, le=1)]


class FileError(BaseModel):
    """Why a file got no answer."""

    code: str
    message: str


class AnswerRead(BaseModel):
    """What the model says of one picture; every class in ``probabilities``, the likeliest first."""

    file: str
    predicted: str
    confidence: float
    probabilities: dict[str, float]
    verdict: Verdict = Field(
        description="By the settings of the checkpoint's confidence; where nobody has chosen a threshold, `not_sure` "
        "is a confidence below 0.5 or less than 0.15 above the second class's."
    )
    sentence: str = Field(description="The verdict in words.")
    strangeness: float | None = Field(
        None, description="How unlike the training pictures it is; null where no limit of it was chosen."
    )


class RefusalRead(BaseModel):
    """One file without an answer."""

    file: str
    error: FileError


class AnswersRead(BaseModel):
    """One entry per file, in the order in which they were sent; ``milliseconds`` for all of them together."""

    items: list[AnswerRead | RefusalRead]
    milliseconds: float

    @classmethod
    def of(cls, answers: Answers) -> "AnswersRead":
        """From the service's answers."""
        return cls(items=[_read(item) for item in answers.items], milliseconds=round(answers.milliseconds, 1))


def _read(item: Answer | Refusal) -> AnswerRead | RefusalRead:
    match item:
        case Answer():
            return AnswerRead(
                file=item.file,
                predicted=item.predicted,
                confidence=item.confidence,
                probabilities=item.probabilities,
                verdict=item.verdict,
                sentence=item.sentence,
                strangeness=item.strangeness,
            )
        case Refusal():
            return RefusalRead(file=item.file, error=FileError(code=item.code, message=item.message))


class CoverIn(BaseModel):
    """A rectangle of the upright picture, in shares of its sides from the upper left."""

    model_config = ConfigDict(extra="forbid")

    left: Share
    top: Share
    width: Share
    height: Share

    @property
    def cover(self) -> Cover:
        """As the use case takes it."""
        return Cover(self.left, self.top, self.width, self.height)


class StrokeIn(BaseModel):
    """The way of a round brush over the upright picture, or of an eraser, which uncovers."""

    model_config = ConfigDict(extra="forbid")

    points: list[tuple[Share, Share]] = Field(
        min_length=1,
        max_length=400,
        description="[x, y] from the upper left in shares of the picture's sides; one is a dot.",
    )
    radius: float = Field(gt=0, le=1, description="In shares of the picture's shorter side.")
    erase: bool = False

    @property
    def cover(self) -> Stroke:
        """As the use case takes it."""
        return Stroke(self.points, self.radius, self.erase)


class CoversIn(BaseModel):
    """The parts of a picture to cover: rectangles and strokes, each laid over those before it."""

    model_config = ConfigDict(extra="forbid")

    covers: list[CoverIn | StrokeIn] = Field(max_length=200)


class CoveredAnswerRead(BaseModel):
    """A class's probability as the picture is, and with its covers."""

    class_name: str = Field(serialization_alias="class")
    before: float
    after: float


class CoveredRead(BaseModel):
    """Every class, the likeliest as the picture is first."""

    items: list[CoveredAnswerRead]
    colour: str = Field(description="Of the covers, the mean of what the network sees of the picture: `#rrggbb`.")

    @classmethod
    def of(cls, answers: CoveredAnswers) -> Self:
        """From the use case's answers."""
        items = [
            CoveredAnswerRead(class_name=name, before=before, after=after) for name, before, after in answers.classes
        ]
        return cls(items=items, colour="#" + bytes(answers.colour).hex())
