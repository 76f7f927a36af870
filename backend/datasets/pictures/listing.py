"""Filters of lists of pictures: a filter that doesn't exist is refused, never ignored."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.datasets.errors import ClassUnknown, FlagUnknown, NoVersionYet, VersionNotFound
from backend.datasets.pictures.flags import FLAGS
from backend.datasets.pictures.repository import ImageFilter
from backend.datasets.repository import DatasetRepository
from backend.datasets.versions import find_version, latest_version
from backend.tables.datasets import VersionRow


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What somebody asks a list of pictures for; empty texts mean no filter."""

    version: str = ""
    label: str = ""
    split: str = ""
    flag: str = ""
    folder: str = ""
    newest: bool = False


def checked(session: Session, dataset_id: str, query: ImageQuery) -> tuple[ImageFilter, VersionRow | None]:
    """The filter that ``query`` means, and the version whose labels it shows: the one named, else the newest.

    Raises:
        DatasetNotFound
        VersionNotFound: the dataset has no such version.
        NoVersionYet: a class or set was asked for, and there is no version.
        ClassUnknown, FlagUnknown
    """
    DatasetRepository(session).get(dataset_id)
    version = find_version(session, query.version) if query.version else latest_version(session, dataset_id)
    if version is not None and version.dataset_id != dataset_id:
        raise VersionNotFound
    if version is None and (query.label or query.split):
        raise NoVersionYet
    if version is not None and query.label and query.label not in version.classes:
        raise ClassUnknown(query.label, [str(name) for name in version.classes])
    if query.flag and query.flag not in FLAGS:
        raise FlagUnknown(query.flag, list(FLAGS))
    chosen = ImageFilter(
        version_id=version.id if version else "",
        only_version=bool(query.version),
        label=query.label or None,
        split=query.split or None,
        flag=query.flag or None,
        folder=query.folder.strip("/") or None,
        newest=query.newest,
    )
    return chosen, version
