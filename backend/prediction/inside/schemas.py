"""JSON bodies of a look inside a network."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from backend.domain.inside import Block, Box, Comparison, Filters, Patch, Unit, When
from backend.prediction.inside.service import Standing
from backend.prediction.inside.urls import filters_url, unit_url


class BoxRead(BaseModel):
    """A part of the square that the network sees, in its pixels; `right` and `bottom` are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, box: Box) -> Self:
        """As JSON."""
        return cls(left=box.left, top=box.top, right=box.right, bottom=box.bottom)


class PatchRead(BaseModel):
    """Where a picture excites a unit most."""

    image_id: str
    label: str
    box: BoxRead
    activation: float

    @classmethod
    def of(cls, patch: Patch) -> Self:
        """As JSON."""
        box = BoxRead.of(patch.box)
        return cls(image_id=patch.image_id, label=patch.label, box=box, activation=patch.activation)


class UnitRead(BaseModel):
    """One channel of a block."""

    number: int
    class_share: float = Field(
        description="Share of the variation of its activation between pictures that their classes explain, in 0 to 1."
    )
    agreement: float | None = Field(
        description="Correlation, over the pictures, of its activations before and after training."
    )
    url: str = Field(description="Its patches as a WebP, three in a row.")
    url_before: str | None = Field(description="The same of the pretrained network; null where nothing changed.")
    patches: list[PatchRead] = Field(description="Of different pictures, the most exciting first.")
    patches_before: list[PatchRead]

    @classmethod
    def of(cls, unit: Unit, block: Block, standing: Standing, root: str) -> Self:
        """As JSON; ``root`` stands before the application's addresses."""
        has_before = bool(unit.patches_before)
        return cls(
            number=unit.number,
            class_share=unit.class_share,
            agreement=unit.agreement,
            url=root + unit_url(standing, block.number, unit.number, When.AFTER),
            url_before=root + unit_url(standing, block.number, unit.number, When.BEFORE) if has_before else None,
            patches=[PatchRead.of(patch) for patch in unit.patches],
            patches_before=[PatchRead.of(patch) for patch in unit.patches_before],
        )


class BlockRead(BaseModel):
    """One block of the pretrained layers."""

    number: int = Field(description="From 1, lowest first.")
    name: str
    units_total: int
    has_tokens: bool = Field(description="Whether its positions are a transformer's tokens.")
    patch_side: int = Field(description="Side of its patches, in pixels of the square that the network sees.")
    class_share: float = Field(description="Median of all its units.")
    weight_change: float | None = Field(
        description="Length of the difference of its weights from the pretrained ones, of the length of these."
    )
    activation_change: float | None = Field(description="1 less the mean `agreement` of all its units.")
    units: list[UnitRead] = Field(description="Those that differ most between classes.")

    @classmethod
    def of(cls, block: Block, standing: Standing, root: str) -> Self:
        """As JSON."""
        return cls(
            number=block.number,
            name=block.name,
            units_total=block.units_total,
            has_tokens=block.has_tokens,
            patch_side=block.patch_side,
            class_share=block.class_share,
            weight_change=block.weight_change,
            activation_change=block.activation_change,
            units=[UnitRead.of(unit, block, standing, root) for unit in block.units],
        )


class FiltersRead(BaseModel):
    """The filters of the first layer."""

    layer: str
    shown: list[int] = Field(description="Numbers of those in the picture, eight in a row.")
    total: int
    side: int = Field(description="Pixels of one.")
    change: float | None = Field(description="As a block's `weight_change`.")
    url: str = Field(description="A PNG in which grey is 0.")
    url_before: str | None = Field(description="The pretrained ones; null where they are the same.")

    @classmethod
    def of(cls, filters: Filters, standing: Standing, root: str) -> Self:
        """As JSON."""
        return cls(
            layer=filters.layer,
            shown=[*filters.shown],
            total=filters.total,
            side=filters.side,
            change=filters.change,
            url=root + filters_url(standing, When.AFTER),
            url_before=root + filters_url(standing, When.BEFORE) if filters.change else None,
        )


class InsideRead(BaseModel):
    """What the units of a network respond to, as far as it is known."""

    checkpoint_id: str
    status: Literal["none", "waiting", "computing", "failed", "ready"] = Field(
        description="none, failed: POST …/inside looks inside it."
    )
    message: str = Field(description="The same in words.")
    done: int = Field(description="Pictures that have passed through the network, while it is computing.")
    total: int
    images: int | None = Field(description="Pictures that were looked at.")
    view_side: int | None = Field(description="Side of the square that the network sees, in pixels.")
    comparison: Comparison | None = Field(description="How the pretrained layers differ from before the training.")
    blocks_total: int | None = Field(description="Blocks of the network; of many, some are left out of `blocks`.")
    filters: FiltersRead | None = Field(description="Null also where the first layer isn't a convolution over RGB.")
    blocks: list[BlockRead]

    @classmethod
    def of(cls, standing: Standing, root: str) -> Self:
        """As JSON."""
        found = standing.found
        return cls(
            checkpoint_id=standing.checkpoint_id,
            status=standing.status,
            message=standing.message,
            done=standing.done,
            total=standing.total,
            images=found.images if found else None,
            view_side=found.view_side if found else None,
            comparison=found.comparison if found else None,
            blocks_total=found.blocks_total if found else None,
            filters=FiltersRead.of(found.filters, standing, root) if found and found.filters else None,
            blocks=[BlockRead.of(block, standing, root) for block in found.blocks] if found else [],
        )
