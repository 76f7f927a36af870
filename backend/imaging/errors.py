"""Why a file can't be used as a picture, and what is worth saying of one that can."""

from dataclasses import dataclass

from backend.domain.errors import InvalidInput, Unavailable


class UnreadableImage(InvalidInput):
    """A file is not a picture that can be used."""

    code = "image-unreadable"

    def __init__(self, reason_code: str, reason: str) -> None:
        super().__init__(reason, details={"reason": reason_code})
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a file can't be used: a code for programs; a reason for people that begins in lower case, "it is a PDF"."""

    code: str
    reason: str

    @property
    def sentence(self) -> str:
        """The reason as a sentence of its own."""
        return f"{self.reason[:1].upper()}{self.reason[1:].rstrip('.')}."


class DecodersBusy(Unavailable):
    """More pictures wait to be read than the server can read soon."""

    code = "pictures-busy"

    def __init__(self) -> None:
        super().__init__(
            "The server is reading many pictures at the moment, so this one had to wait too long.",
            advice="Try again in a few seconds.",
        )


class DecodersDown(Unavailable):
    """The processes that read pictures can't be started."""

    code = "pictures-unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The server can't read pictures at the moment: the programs that do it don't start.",
            advice="Try again. If it stays so, whoever runs the server finds the cause in its log.",
        )
