"""What can go wrong with datasets, their pictures and versions."""

from backend.domain.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Unavailable


class DatasetNotFound(NotFound):
    """The dataset doesn't exist."""

    code = "dataset-not-found"

    def __init__(self) -> None:
        super().__init__("There is no dataset here, or it isn't shared with you.")


class ImageNotFound(NotFound):
    """No such image."""

    code = "image-not-found"

    def __init__(self) -> None:
        super().__init__("There is no picture here, or it isn't shared with you.")


class ImageFileMissing(NotFound):
    """An image is recorded, but its bytes are gone from the storage."""

    code = "image-file-missing"

    def __init__(self) -> None:
        super().__init__(
            "The file of this picture isn't in the server's storage any more.",
            advice="Add the picture again, or bring back the data folder from a backup.",
        )


class PictureUnreadable(InvalidInput):
    """A picture of a dataset can't be decoded (any more)."""

    code = "image-unreadable"

    def __init__(self, reason_code: str, reason: str) -> None:
        super().__init__(
            f"This picture can't be shown: {reason.rstrip('.')}.",
            advice="Its file may be damaged. Add the picture again.",
            details={"reason": reason_code},
        )


class ImportNotFound(NotFound):
    """No such import."""

    code = "import-not-found"

    def __init__(self) -> None:
        super().__init__("There is no import here, or it isn't shared with you.")


class ImportEnded(Conflict):
    """An import has ended, so it can't be cancelled."""

    code = "import-ended"

    def __init__(self, status: str) -> None:
        super().__init__(
            f"This import has already {status}, so it can't be cancelled.",
            advice="To take its pictures away, delete them or the dataset.",
            details={"status": status},
        )


class VersionNotFound(NotFound):
    """No such version."""

    code = "version-not-found"

    def __init__(self) -> None:
        super().__init__("There is no version here, or it isn't shared with you.")


class NoVersionYet(InvalidInput):
    """Pictures have classes and sides only in a version."""

    code = "no-version"

    def __init__(self) -> None:
        super().__init__(
            "The labels of this dataset haven't been accepted yet, so its pictures have no class.",
            advice="Go to Labels and accept them, or leave out “class” and “split”.",
        )


class ClassUnknown(InvalidInput):
    """A class that the version doesn't have."""

    code = "class-unknown"

    def __init__(self, name: str, classes: list[str]) -> None:
        super().__init__(
            f"There is no class called “{name[:60]}”.",
            advice=f"The classes are: {', '.join(classes[:20])}{' …' if len(classes) > 20 else ''}.",
            details={"classes": classes[:1000]},
        )


class FlagUnknown(InvalidInput):
    """A flag that this server doesn't set."""

    code = "flag-unknown"

    def __init__(self, flag: str, flags: list[str]) -> None:
        super().__init__(
            f"There is no flag called “{flag[:60]}”.",
            advice=f"The flags are: {', '.join(flags)}.",
            details={"flags": flags},
        )


class SideRangeInvalid(InvalidInput):
    """A range of sizes that can't be read."""

    code = "side-range-invalid"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"“{text[:20]}” is no range of sizes.",
            advice="Write pixels of the shorter side: 100-499, -99 for up to 99, or 2000- for 2,000 and more.",
        )


class IdsInvalid(InvalidInput):
    """Pictures are named by something else than their ids, or too many of them."""

    code = "ids-invalid"

    def __init__(self, most: int) -> None:
        super().__init__(
            "These are no ids of pictures, or too many.",
            advice=f"Send at most {most}, each of 32 hexadecimal digits, with commas between them.",
        )


class RunHasNoResults(InvalidInput):
    """Pictures are asked for by the result of a run that the dataset doesn't have, or that isn't there yet."""

    code = "run-without-results"

    def __init__(self) -> None:
        super().__init__(
            "This dataset has no training of that id with results.",
            advice="Choose another training, or wait until its first stage has ended.",
        )


class FilterUnknown(InvalidInput):
    """A bulk action names a filter that lists don't have."""

    code = "filter-unknown"

    def __init__(self, given: str) -> None:
        super().__init__(
            f"“{given[:60]}” is no filter of a list of pictures.",
            advice="Send the query of the list as it is, such as “class=cat&split=train”; nothing was changed.",
        )


class SelectionUnclear(InvalidInput):
    """A bulk action names both pictures and a filter, or neither."""

    code = "selection-unclear"

    def __init__(self) -> None:
        super().__init__(
            "It isn't clear which pictures are meant.",
            advice="Send “ids”, or “filter” as the query of the list (such as “class=cat&split=train”).",
        )


class BinEntryNotFound(NotFound):
    """Nothing of that id is in the bin."""

    code = "bin-entry-not-found"

    def __init__(self) -> None:
        super().__init__(
            "This isn't in the bin any more.",
            advice="It was restored, or deleted for good. GET /api/v1/bin lists what is.",
        )


class DatasetInUse(Conflict):
    """A dataset can't be deleted while a training or an import uses it."""

    code = "dataset-in-use"

    def __init__(self, trainings: list[str], imports: list[str]) -> None:
        details = {"users": trainings} | ({"imports": imports} if imports else {})
        if trainings:
            shown = ", ".join(f"“{name}”" for name in trainings[:3])
            super().__init__(
                f"This dataset is in use by {shown}.",
                advice="Stop that training first, then delete the dataset.",
                details=details,
            )
        else:
            super().__init__(
                "Pictures are still being added to this dataset.",
                advice="Cancel the import first, then delete the dataset.",
                details=details,
            )


class DatasetChanging(Conflict):
    """Others change a dataset again and again while a version of it is to be frozen."""

    code = "dataset-changing"

    def __init__(self) -> None:
        super().__init__("Others are changing this dataset at the moment.", advice="Try again.")


class UploadTooLarge(LimitExceeded):
    """More bytes than one request may have."""

    code = "upload-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"This is more than the {limit / 1e9:,.0f} GB that can be uploaded at once.", advice="Upload it in parts."
        )


class NotAnArchive(InvalidInput):
    """What was sent is no archive that is read."""

    code = "archive-type-unknown"

    def __init__(self) -> None:
        super().__init__(
            "This file isn't an archive that can be read here.",
            advice="Use a .zip, .tar, .tar.gz or .tgz, or add the pictures themselves.",
        )


class EmptyUpload(InvalidInput):
    """Nothing was sent."""

    code = "upload-empty"

    def __init__(self) -> None:
        super().__init__("Nothing was sent.", advice="Choose at least one file.")


class MalformedUpload(InvalidInput):
    """The body isn't the multipart form it should be."""

    code = "upload-malformed"

    def __init__(self) -> None:
        super().__init__(
            "This request can't be read as an upload of files.",
            advice="Send a multipart form whose parts are called “files”, with each file's path as its name.",
        )


class SampleNotFound(NotFound):
    """No such sample."""

    code = "sample-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no sample called “{name[:40]}”.", advice="GET /api/v1/samples lists them.")


class SampleNotInstalled(Unavailable):
    """A sample's package isn't installed."""

    code = "sample-not-at-hand"

    def __init__(self, package: str) -> None:
        super().__init__(f"This sample needs the Python package {package}, which isn't installed here.")


class UploadLost(Unavailable):
    """The bytes of an upload are gone: deleted by accident, or between storing and recording them."""

    code = "upload-lost"

    def __init__(self) -> None:
        super().__init__("The server has lost this upload.", advice="Upload it again.")
