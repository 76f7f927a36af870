"""What can be wrong with an archive as a whole."""

from typing import Self

from backend.domain.errors import InvalidInput, LimitExceeded


class ArchiveBroken(InvalidInput):
    """An archive can't be read any further.

    ``kept`` is the number of its pictures that are in the dataset nevertheless.
    """

    code = "archive-broken"

    def __init__(self, reason: str, kept: int = 0) -> None:
        self.reason = reason
        super().__init__(
            f"This archive is incomplete or damaged: {reason}. {_kept(kept)}",
            advice="Make the archive again and add it once more; pictures that are here already aren't stored twice.",
            details={"kept": kept},
        )

    def with_kept(self, kept: int) -> Self:
        """The same error for an archive of which so many pictures are kept."""
        return type(self)(self.reason, kept)


class ArchiveTooLarge(LimitExceeded):
    """An archive holds more than this server unpacks; ``kept`` as in ``ArchiveBroken``."""

    code = "archive-too-large"

    def __init__(self, limit: str, kept: int = 0) -> None:
        self.limit = limit
        super().__init__(
            f"This archive holds more than {limit}. {_kept(kept)}",
            advice="Split it into smaller archives.",
            details={"kept": kept},
        )

    def with_kept(self, kept: int) -> Self:
        """The same error for an archive of which so many pictures are kept."""
        return type(self)(self.limit, kept)


class ArchiveEncrypted(InvalidInput):
    """Every entry has a password."""

    code = "archive-encrypted"

    def __init__(self) -> None:
        super().__init__(
            "This zip is protected with a password.", advice="Unpack it on your computer, then add the pictures."
        )


class NothingUsable(InvalidInput):
    """An archive (or whatever ``place`` says) was read to its end and gave no picture and no table."""

    code = "archive-nothing-usable"

    def __init__(self, entries: int, ignored: int, refused: int, reason: str = "", place: str = "archive") -> None:
        super().__init__(
            _why_nothing(entries, refused, reason, place),
            advice="Check that the addresses are those of pictures, and open in your browser."
            if place == "list"
            else "Check that there are pictures in it, and that they open on your computer.",
            details={"entries": entries, "ignored": ignored, "rejected": refused},
        )


def _kept(kept: int) -> str:
    if kept == 0:
        return "No picture could be read from it."
    pictures = "1 picture was" if kept == 1 else f"{kept:,} pictures were"
    return f"{pictures} read before that and kept; the rest never arrived."


def _why_nothing(entries: int, refused: int, reason: str, place: str) -> str:
    if entries == 0:
        return f"This {place} is empty."
    if refused == 0:
        return f"There is no picture in this {place}, only hidden files and files of the operating system."
    if place == "list":
        return f"Nothing on this list can be used. The most common reason: {reason}" if refused > 1 else reason
    if refused == 1:
        return f"The only file in this {place} can't be used. {reason}"
    return f"None of the {refused:,} files in this {place} can be used. The most common reason: {reason}"
