"""Look inside a checkpoint: pass pictures through it, and keep what excites its units most."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from backend.domain.inside import (
    PATCHES,
    UNITS,
    Block,
    Comparison,
    Filters,
    Inside,
    InsideOrder,
    Patch,
    Unit,
    When,
    filters_file,
    unit_file,
)
from worker.engine.data.source import to_input
from worker.engine.inside import units
from worker.engine.inside.answers import SeenBlock, Watch
from worker.engine.inside.changes import first_filters
from worker.engine.inside.drawing import cut_out, filters_png, patches_webp
from worker.engine.inside.networks import Networks
from worker.engine.inside.pictures import OnProgress, Pictures
from worker.engine.inside.reach import Reach
from worker.engine.order import OpenBytes

MOST_BLOCKS: Final = 9
MOST_FILTERS: Final = 64
_CPU: Final = torch.device("cpu")


KeepPicture = Callable[[str, bytes], None]
"""Called with the name and the content of each picture of filters or patches."""


def look_inside(order: InsideOrder, open_bytes: OpenBytes, keep: KeepPicture, on_progress: OnProgress) -> Inside:
    """Measure, and draw the pictures of filters and patches.

    Raises:
        CheckpointUnusable
    """
    begun = time.monotonic()
    networks = Networks.of(order)
    blocks_total = len(networks.layout.names)
    pictures = Pictures(order.images, open_bytes, networks.preprocessing)
    watch = Watch(networks, _evenly(blocks_total, MOST_BLOCKS))
    for views in pictures.batches(on_progress):
        watch.add(to_input(torch.from_numpy(np.stack(views)), networks.preprocessing, _CPU))
    targets = np.unique([image.label for image in pictures.seen], return_inverse=True)[1].astype(np.int64)
    sheets = _Sheets(pictures, keep)
    blocks = tuple(_block(networks, seen, targets, sheets) for seen in watch.blocks)
    sheets.draw()
    return Inside(
        images=len(pictures.seen),
        unreadable=len(order.images) - len(pictures.seen),
        view_side=networks.preprocessing.size,
        seconds=time.monotonic() - begun,
        comparison=networks.comparison,
        filters=_filters(networks, keep),
        blocks=blocks,
        blocks_total=blocks_total,
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A patch of a picture that is to be drawn: in which sheet, as which of its patches, and what is cut out."""

    sheet: str
    rank: int
    reach: Reach
    row: int
    column: int


@dataclass(slots=True)
class _Sheets:
    """Collects the patches that are to be drawn, so that each picture is read once for all of them."""

    pictures: Pictures
    keep: KeepPicture
    wanted: dict[int, list[_Wanted]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def patches(self, seen: SeenBlock, unit: int, when: When) -> tuple[Patch, ...]:
        """The most exciting patches of a unit, which will be drawn."""
        peaks, places = seen.answers[when].joined()
        name = unit_file(seen.index + 1, unit, when)
        self.names.append(name)
        patches = []
        for rank, image in enumerate(units.most_exciting(peaks[:, unit], self.pictures.greys, PATCHES)):
            row, column = divmod(int(places[image, unit]), seen.width)
            self.wanted.setdefault(image, []).append(_Wanted(name, rank, seen.reach, row, column))
            known = self.pictures.seen[image]
            patches.append(Patch(known.id, known.label, seen.reach.box(row, column), float(peaks[image, unit])))
        return tuple(patches)

    def draw(self) -> None:
        """Write a picture for every unit."""
        drawn: dict[str, dict[int, Image.Image]] = {name: {} for name in self.names}
        for index, view in self.pictures.views(sorted(self.wanted)):
            for one in self.wanted[index]:
                square = one.reach.square(one.row, one.column)
                drawn[one.sheet][one.rank] = cut_out(view, square, self.pictures.preprocessing)
        for name, patches in drawn.items():
            self.keep(name, patches_webp(patches))


def _block(networks: Networks, seen: SeenBlock, targets: NDArray[np.int64], sheets: _Sheets) -> Block:
    peaks, _ = seen.answers[When.AFTER].joined()
    shares = units.class_shares(peaks, targets)
    agreements = np.full(len(shares), np.nan)
    if When.BEFORE in seen.answers:
        agreements = units.agreements(seen.answers[When.BEFORE].joined()[0], peaks)
    known = agreements[np.isfinite(agreements)]
    unchanged = 0.0 if networks.comparison is Comparison.UNCHANGED else None
    return Block(
        number=seen.index + 1,
        name=networks.layout.names[seen.index],
        units_total=len(shares),
        has_tokens=seen.has_tokens,
        patch_side=min(seen.reach.side, networks.preprocessing.size),
        class_share=float(np.median(shares)),
        weight_change=networks.weight_change(seen.index),
        activation_change=1 - float(known.mean()) if len(known) else unchanged,
        units=tuple(
            Unit(
                number=unit,
                class_share=float(shares[unit]),
                agreement=float(agreements[unit]) if np.isfinite(agreements[unit]) else None,
                patches=sheets.patches(seen, unit, When.AFTER),
                patches_before=sheets.patches(seen, unit, When.BEFORE) if When.BEFORE in seen.answers else (),
            )
            for unit in units.chosen(peaks, shares, UNITS)
        ),
    )


def _filters(networks: Networks, keep: KeepPicture) -> Filters | None:
    """Draw the first layer's filters; of many the largest."""
    after = first_filters(networks.after)
    if after is None:
        return None
    shown = after.flatten(1).norm(dim=1).argsort(descending=True, stable=True)[:MOST_FILTERS].sort().values
    keep(filters_file(When.AFTER), filters_png(after[shown].numpy()))
    before = None if networks.before is None else first_filters(networks.before)
    change = None if networks.comparison is Comparison.UNAVAILABLE else 0.0
    if before is not None and not torch.equal(before, after):
        change = float((after - before).norm() / before.norm())
        keep(filters_file(When.BEFORE), filters_png(before[shown].numpy()))
    return Filters(networks.layout.names[0], tuple(shown.tolist()), len(after), after.shape[-1], change)


def _evenly(count: int, most: int) -> Sequence[int]:
    """So many of the indices, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most)).tolist()})
