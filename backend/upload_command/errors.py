"""What ends the command; each is a sentence, and all of them are safe to repeat the command after."""

from backend.domain.errors import AppError, InvalidInput, NotFound, Unavailable
from backend.domain.json import Json


class Refused(AppError):
    """What the server refused, in its own words."""

    def __init__(self, status: int, message: str, advice: str, details: dict[str, Json]) -> None:
        super().__init__(message, advice=advice, details=details)
        self.status = status


class NoServer(Unavailable):
    """Nobody answers at the server's address."""

    code = "server-unreachable"

    def __init__(self, server: str, reason: str, *, has_begun: bool) -> None:
        advice = (
            "Run the same command again to send the rest; what has arrived is kept."
            if has_begun
            else "Check the address (--server) and whether the server is running."
        )
        super().__init__(f"There is no answer from {server}: {reason or 'the connection was closed'}.", advice=advice)


class KeyMissing(InvalidInput):
    """Another server is named, and no key for it is set."""

    code = "upload-key-missing"

    def __init__(self, server: str) -> None:
        super().__init__(
            f"No key for {server} is set.",
            advice="Set TELLAPART_TOKEN to an access key of that server.",
        )


class NothingToSend(InvalidInput):
    """There is no file in the folder."""

    code = "upload-empty"

    def __init__(self, place: str) -> None:
        super().__init__(
            f"“{place}” has no file that could be sent.", advice="Name a folder of pictures or an archive."
        )


class PlaceMissing(NotFound):
    """There is no such folder or file here."""

    code = "upload-source-missing"

    def __init__(self, place: str) -> None:
        super().__init__(f"“{place}” is neither a folder nor a file.", advice="Check its name.")


class ImportFailed(AppError):
    """An archive has arrived, but its import failed."""

    code = "import-failed"
