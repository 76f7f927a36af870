"""JSON bodies of maps."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from backend.datasets.map.positions import View
from backend.datasets.map.service import Map, Strays, Values


class MapRead(BaseModel):
    """A dataset's map as it stands."""

    status: Literal["unavailable", "none", "waiting", "computing", "cancelled", "failed", "ready"] = Field(
        description="none, cancelled: POST …/map/arrangement arranges it by similarity."
    )
    message: str = Field(description="The same in words.")
    view: View = Field(description="By what pictures are arranged at present: components (PCA) or neighbours (t-SNE).")
    key: str = Field(description="What positions and values are asked for with; it changes with the pictures.")
    share: float = Field(description="How far the arrangement by similarity is, in 0 to 1.")
    images: int = Field(description="Pictures on the map.")
    images_total: int = Field(description="Pictures of the dataset; those that aren't examined aren't on the map.")

    @classmethod
    def of(cls, found: Map) -> Self:
        """As JSON."""
        return cls(
            status=found.status,
            message=found.message,
            view=found.view,
            key=found.key,
            share=found.share,
            images=found.images,
            images_total=found.images_total,
        )


class MapValuesRead(BaseModel):
    """What each picture of a map is coloured by, in the order of the positions."""

    names: list[str]
    of: list[int] = Field(description="Index into `names`; -1: it has none; -2: the picture was deleted.")

    @classmethod
    def of_values(cls, values: Values) -> Self:
        """As JSON."""
        return cls(names=[*values.names], of=[*values.of])


class StraysRead(BaseModel):
    """Pictures of a class that lie among those of another."""

    label: str
    among: str
    images: list[int] = Field(description="Their indices in the order of the positions.")

    @classmethod
    def of(cls, found: Strays) -> Self:
        """As JSON."""
        return cls(label=found.label, among=found.among, images=[*found.images])
