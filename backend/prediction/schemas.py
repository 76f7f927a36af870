"""JSON bodies of predictions."""

from pydantic import BaseModel

from backend.prediction.service import Answer, Answers, Refusal


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
            )
        case Refusal():
            return RefusalRead(file=item.file, error=FileError(code=item.code, message=item.message))
