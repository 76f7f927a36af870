"""What can be wrong with an import from elsewhere; a single picture that doesn't come is listed with its reason."""

from typing import Final

from backend.domain.errors import InvalidInput, LimitExceeded, NotFound, Unavailable
from backend.outbound.errors import NOT_PUBLIC, Unfetched


class NothingAsked(InvalidInput):
    """A request names no source, or several."""

    code = "source-unclear"

    def __init__(self) -> None:
        super().__init__(
            "This request doesn't name one place to take pictures from.",
            advice='Send one of these: {"urls": [...], "label": "grizzly"}, {"archive_url": "https://..."}, '
            '{"sample": "digits"}, {"server_folder": "/pictures/birds"} or {"s3": {"bucket": "..."}}.',
        )


class LinkUnusable(InvalidInput):
    """An address can't be used at all."""

    code = "link-unusable"

    def __init__(self, error: Unfetched) -> None:
        super().__init__(
            f"{error.args[0][:1].upper()}{error.args[0][1:]}.",
            advice="Copy the address from your browser: it begins with https:// and has no user name in it.",
            details={"reason": error.code},
        )


class LinkIsPage(InvalidInput):
    """There is a web page where an archive or a picture should be."""

    code = "link-is-a-page"

    def __init__(self) -> None:
        super().__init__(
            "That link answers with a web page, not with pictures.",
            advice="Open it in your browser, find the link of the download itself, and copy its address.",
        )


class DownloadFailed(Unavailable):
    """Something doesn't come. Where it was a sample, ``sample_url`` can be downloaded elsewhere."""

    code = "download-failed"

    def __init__(self, what: str, error: Unfetched, *, sample_url: str = "") -> None:
        if error.code != NOT_PUBLIC:
            advice = "Try again later." if error.is_passing else "Check the address in your browser."
        elif sample_url:
            advice = (
                "This server may have no connection to the internet. "
                f"Download {sample_url} on another computer and drop the file on the page of a new dataset."
            )
        else:
            advice = "Check the address. If it is right, this server may have no connection to the internet."
        super().__init__(f"{what} couldn't be downloaded: {error}.", advice=advice, details={"reason": error.code})


class DownloadDiffers(InvalidInput):
    """What was downloaded isn't the file that it should be."""

    code = "download-differs"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was downloaded, but it isn't the file that is known under this address, so it wasn't used.",
            advice="Try again. If it stays so, the file was changed by whoever offers it.",
        )


class FolderUnusable(NotFound):
    """A folder of the server isn't there, or not below those that may be used. Both are said alike."""

    code = "server-folder-not-found"

    def __init__(self, has_roots: bool) -> None:
        super().__init__(
            "There is no such folder below the folders that can be imported from.",
            advice="GET /api/v1/server-folders lists them."
            if has_roots
            else "Whoever runs the server names such folders in TELLAPART_IMPORT_ROOTS.",
        )


class SourceEmpty(InvalidInput):
    """A folder or bucket has no file."""

    code = "source-empty"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no file in {what}.", advice="Check that you have chosen the right one.")


class SourceTooLarge(LimitExceeded):
    """A folder or bucket has more files than one import takes."""

    code = "source-too-many-files"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"There are more than {limit:,} files in {what}.", advice="Import its parts, one by one.")


class BucketRefused(InvalidInput):
    """An S3 server refuses."""

    code = "bucket-refused"

    def __init__(self, bucket: str, reason: str, reason_code: str) -> None:
        super().__init__(
            f"The bucket “{bucket}” can't be read: {reason}.",
            advice="Check the bucket's name, the key and its secret, and that the key may list and read the bucket.",
            details={"reason": reason_code},
        )


_FIELDS: Final = {
    "bucket": "The bucket's name",
    "prefix": "The prefix",
    "endpoint": "The server's address",
    "region": "The region",
    "secret_key": "The key",
}


class BucketUnusable(InvalidInput):
    """A part of what describes a bucket can't be used."""

    code = "bucket-unusable"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(
            f"{_FIELDS.get(field, 'This')} can't be used: {rule}.",
            advice="Copy it from your provider's page.",
            details={"field": field},
        )


class KeysLost(Unavailable):
    """The keys that were given for an import can't be read any more."""

    code = "import-keys-lost"

    def __init__(self) -> None:
        super().__init__(
            "The server can't read the keys of this import any more.", advice="Start the import again with its keys."
        )
