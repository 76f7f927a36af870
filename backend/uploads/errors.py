"""What can go wrong with a resumable upload. Statuses that only the protocol knows stand here, with their headers."""

from typing import ClassVar

from backend.domain.errors import AppError, LimitExceeded, NoRoom, NotFound
from backend.templating import size as size_in_words


class ProtocolError(AppError):
    """A refusal for which the tus protocol has a status of its own."""

    status: ClassVar[int] = 400
    headers: dict[str, str]


class HeaderInvalid(ProtocolError):
    """A header is missing or has a value that can't be used."""

    code = "upload-header-invalid"

    def __init__(self, header: str, accepted: str) -> None:
        super().__init__(
            f"The header {header} is missing, or its value can't be used. Accepted: {accepted}.",
            advice="Correct the program that sends this; docs/rest.md describes uploads.",
            details={"header": header},
        )
        self.headers = {}


class VersionUnsupported(ProtocolError):
    """Another version of the protocol, or none."""

    code = "tus-version-unsupported"
    status = 412

    def __init__(self, version: str) -> None:
        super().__init__(
            f"Uploads here speak version {version} of the tus protocol.", advice=f"Send “Tus-Resumable: {version}”."
        )
        self.headers = {"Tus-Version": version}


class ContentTypeUnsupported(ProtocolError):
    """The bytes of a PATCH aren't announced as such."""

    code = "media-type-unsupported"
    status = 415

    def __init__(self, accepted: str) -> None:
        super().__init__("This address takes the bytes of an upload.", advice=f"Send “Content-Type: {accepted}”.")
        self.headers = {}


class WrongOffset(ProtocolError):
    """The bytes that were sent don't continue what is there."""

    code = "upload-offset-wrong"
    status = 409

    def __init__(self, sent: int, present: int) -> None:
        super().__init__(
            f"These bytes begin at {sent:,}, but {present:,} bytes have arrived. Nothing was changed.",
            advice=f"Continue at {present:,}.",
            details={"offset": present},
        )
        self.headers = {"Upload-Offset": str(present)}


class UploadBusy(ProtocolError):
    """Another request is bringing bytes of the same upload, or has taken it over."""

    code = "upload-busy"
    status = 423

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            "Another connection is sending this file at the moment.", advice="Ask again in some seconds; it continues."
        )
        self.headers = {"Retry-After": str(wait_s)}


class UploadExpired(ProtocolError):
    """Nothing came for too long, so what had arrived was deleted."""

    code = "upload-expired"
    status = 410

    def __init__(self) -> None:
        super().__init__("Nothing came for this upload for a week, so it was deleted.", advice="Send the file again.")
        self.headers = {}


class ChecksumMismatch(ProtocolError):
    """The bytes arrived changed."""

    code = "upload-checksum-mismatch"
    status = 460

    def __init__(self, offset: int) -> None:
        super().__init__(
            "These bytes were changed on their way here, so they weren't kept.",
            advice=f"Send them again, from {offset:,} on.",
            details={"offset": offset},
        )
        self.headers = {}


class UploadNotFound(NotFound):
    """No such upload, or somebody else's."""

    code = "upload-not-found"

    def __init__(self) -> None:
        super().__init__("There is no upload here, or it isn't shared with you.")


class FileTooLarge(LimitExceeded):
    """A file has more bytes than one of its kind may have."""

    code = "upload-too-large"

    def __init__(self, path: str, size: int, limit: int) -> None:
        super().__init__(
            f"“{path[:200]}” has {size_in_words(size)}; at most {size_in_words(limit)} can be sent as one such file.",
            advice="Send it in parts.",
            details={"bytes": size, "limit_bytes": limit},
        )


class BodyTooLarge(LimitExceeded):
    """More bytes than the upload was announced with, or than one checksum may cover."""

    code = "too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"At most {limit:,} bytes can be sent here. Nothing was changed.",
            advice="Send less at once.",
            details={"limit_bytes": limit},
        )


class NoRoomForUpload(NoRoom):
    """The disk hasn't enough room for a file, with what other uploads have reserved."""

    def __init__(self, needed: int, available: int, reserved: int) -> None:
        AppError.__init__(
            self,
            f"No room: {size_in_words(needed)} needed, {size_in_words(max(0, available))} free"
            + (f", with {size_in_words(reserved)} reserved for other uploads. " if reserved else ". ")
            + "Nothing was stored.",
            advice="Free some space on the server, or send less.",
            details={"needed_bytes": needed, "free_bytes": max(0, available), "reserved_bytes": reserved},
        )
