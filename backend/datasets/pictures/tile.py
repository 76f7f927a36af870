"""A picture in a grid."""

from dataclasses import dataclass

from backend.datasets.pictures.repository import ListedImage
from backend.datasets.urls import thumbnail_url


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture in a grid; ``url`` is the page that shows it large."""

    id: str
    path: str
    label: str | None
    url: str
    thumbnail: str

    @classmethod
    def of(cls, image: ListedImage) -> "Tile":
        """The tile of a listed image."""
        row = image.row
        url = f"/datasets/{row.dataset_id}/images/{row.id}"
        return cls(row.id, row.path, image.label, url, thumbnail_url(row.id, digest=row.digest))
