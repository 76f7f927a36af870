"""A picture in a grid."""

from dataclasses import dataclass

from backend.datasets.pictures.repository import Answer, ListedImage
from backend.datasets.urls import thumbnail_url


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture in a grid; ``url`` is the page that shows it large, ``alt`` what it shows, in words."""

    id: str
    path: str
    label: str | None
    url: str
    thumbnail: str
    alt: str
    answer: Answer | None = None

    @classmethod
    def of(cls, image: ListedImage, query: str = "") -> "Tile":
        """The tile of a listed image; ``query`` is the address of its list, which its page goes on in."""
        row = image.row
        url = f"/datasets/{row.dataset_id}/images/{row.id}"
        url = f"{url}?{query}" if query else url
        thumbnail = thumbnail_url(row.id, digest=row.digest)
        return cls(row.id, row.path, image.label, url, thumbnail, words_of(image), image.answer)


def words_of(image: ListedImage) -> str:
    """What a picture shows, for those who can't see it: its label and a model's answer, else its path."""
    words = f"labelled {image.label}" if image.label else f"Picture {image.row.path}"
    if image.answer is None:
        return words
    return f"{words}, predicted {image.answer.predicted} ({image.answer.probability:.0%})"
