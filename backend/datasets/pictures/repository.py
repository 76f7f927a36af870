"""All SQL over lists of a dataset's pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from backend.datasets.errors import ImageNotFound
from backend.datasets.pictures.flags import FLAGS
from backend.tables.datasets import ImagePathRow, ImageRow, VersionImageRow, VersionRow


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image with its label and set in one version, and its flags."""

    row: ImageRow
    label: str | None
    split: str | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images of a dataset are listed.

    Label and split are those of ``version_id``; with ``only_version``, images outside of it are left out. ``flag`` is
    one of ``FLAGS``, ``folder`` a path without the slash at its end.
    """

    version_id: str = ""
    only_version: bool = False
    label: str | None = None
    split: str | None = None
    flag: str | None = None
    folder: str | None = None
    newest: bool = False


class PictureLists:
    """Pictures of datasets, listed, counted and one by one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def images(
        self, dataset_id: str, chosen: ImageFilter, *, limit: int, after: str | None = None
    ) -> list[ListedImage]:
        """Images in the order of arrival, or the newest first."""
        query = _chosen_images(dataset_id, chosen, ImageRow, VersionImageRow.label, VersionImageRow.split, *_FLAGS)
        query = query.order_by(ImageRow.id.desc() if chosen.newest else ImageRow.id).limit(limit)
        if after:
            query = query.where(ImageRow.id < after if chosen.newest else ImageRow.id > after)
        return [_listed(row) for row in self._session.execute(query)]

    def count_images(self, dataset_id: str, chosen: ImageFilter) -> int:
        """How many images ``images`` would list."""
        return self._session.scalar(_chosen_images(dataset_id, chosen, func.count())) or 0

    def listed_image(self, dataset_id: str, image_id: str) -> ListedImage:
        """One image, also one that only a version still has. Raises ImageNotFound."""
        newest = select(func.max(VersionRow.id)).where(VersionRow.dataset_id == dataset_id).scalar_subquery()
        of_version = (VersionImageRow.image_id == ImageRow.id) & (VersionImageRow.version_id == newest)
        query = select(ImageRow, VersionImageRow.label, VersionImageRow.split, *_FLAGS)
        query = query.join(VersionImageRow, of_version, isouter=True)
        found = self._session.execute(query.where(ImageRow.dataset_id == dataset_id, ImageRow.id == image_id)).first()
        if found is None:
            raise ImageNotFound
        return _listed(found)

    def neighbours(self, dataset_id: str, image_id: str) -> tuple[str | None, str | None]:
        """Ids of the images that arrived just before and just after one."""
        mine = (ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
        before = select(func.max(ImageRow.id)).where(*mine, ImageRow.id < image_id)
        after = select(func.min(ImageRow.id)).where(*mine, ImageRow.id > image_id)
        return self._session.scalar(before), self._session.scalar(after)

    def names_of(self, image_id: str) -> list[str]:
        """All names under which an image was added."""
        query = select(ImagePathRow.path).where(ImagePathRow.image_id == image_id)
        return sorted(self._session.scalars(query))

    def folders(self, dataset_id: str, limit: int) -> list[str]:
        """Folders that pictures lie in, by name; at most ``limit``."""
        paths = select(ImageRow.path).where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
        found = {path.rpartition("/")[0] for path in self._session.scalars(paths)}
        return sorted(found - {""})[:limit]


_FLAGS: Final = tuple(condition.label(flag) for flag, condition in FLAGS.items())


def _chosen_images(dataset_id: str, chosen: ImageFilter, *columns: Any) -> Select[Any]:  # Any: columns
    of_version = (VersionImageRow.image_id == ImageRow.id) & (VersionImageRow.version_id == chosen.version_id)
    query = (
        select(*columns)
        .select_from(ImageRow)
        .join(VersionImageRow, of_version, isouter=not chosen.only_version)
        .where(ImageRow.dataset_id == dataset_id)
    )
    if not chosen.only_version:
        query = query.where(~ImageRow.is_deleted)
    if chosen.label is not None:
        query = query.where(VersionImageRow.label == chosen.label)
    if chosen.split is not None:
        query = query.where(VersionImageRow.split == chosen.split)
    if chosen.flag is not None:
        query = query.where(FLAGS[chosen.flag])
    if chosen.folder is not None:
        query = query.where(ImageRow.path.startswith(f"{chosen.folder}/", autoescape=True))
    return query


def _listed(found: Sequence[Any]) -> ListedImage:  # Any: the columns of ``images``
    row, label, split, *flags = found
    return ListedImage(row, label, split, tuple(flag for flag, is_set in zip(FLAGS, flags, strict=True) if is_set))
