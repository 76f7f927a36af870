"""JSON bodies of the fix sprint."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from backend.datasets.urls import thumbnail_url
from backend.domain.manifest import Split
from backend.interpretation.fix.sprint import FixPicture, Sprint
from backend.pagination import Page


class FixPictureRead(BaseModel):
    """A picture whose label is worth a look; ``large_url`` is 768 pixels wide or high."""

    image_id: str
    path: str
    label: str
    split: Split
    why: str
    choices: list[str] = Field(description="Up to three other classes that it may belong to, the likeliest first.")
    large_url: str
    thumbnail_url: str

    @classmethod
    def of(cls, picture: FixPicture, root_path: str) -> Self:
        """URLs begin with the path under which a proxy serves us."""
        return cls(
            image_id=picture.id,
            path=picture.path,
            label=picture.label,
            split=picture.split,
            why=picture.why,
            choices=[*picture.choices],
            large_url=root_path + thumbnail_url(picture.id, 768, picture.digest),
            thumbnail_url=root_path + thumbnail_url(picture.id, digest=picture.digest),
        )


class SprintRead(Page[FixPictureRead]):
    """Up to thirty pictures about which nobody has decided."""

    status: Literal["ready", "computing"] = Field(description="computing: ask again in some seconds.")

    @classmethod
    def of_sprint(cls, sprint: Sprint, root_path: str) -> Self:
        """As the API gives it."""
        items = [FixPictureRead.of(picture, root_path) for picture in sprint.pictures]
        return cls(items=items, next=sprint.next, status="computing" if sprint.is_computing else "ready")
