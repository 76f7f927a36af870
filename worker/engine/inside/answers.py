"""What the blocks of the networks answer to pictures: each unit's largest activation, and where it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.domain.inside import When
from worker.engine.inside.networks import Networks
from worker.engine.inside.positions import Layout, Positions
from worker.engine.inside.reach import Reach, measured, of_token
from worker.engine.inside.units import Peaks
from worker.engine.network.architectures import Classifier

_REACH_FROM: Final = 8
"""Pictures from which the reach of each block is measured."""


@dataclass(slots=True)
class Answers:
    """Of one block and one network, batch by batch."""

    peaks: list[NDArray[np.float32]] = field(default_factory=list)
    places: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, found: Positions) -> None:
        """Those of a batch."""
        values, places = found.values.max(dim=2)
        self.peaks.append(values.float().numpy())
        self.places.append(places.numpy())

    def joined(self) -> tuple[Peaks, NDArray[np.int64]]:
        """(N, C) largest activations, and (N, C) their positions, counted row by row."""
        self.peaks, self.places = [np.concatenate(self.peaks)], [np.concatenate(self.places)]
        return self.peaks[0], self.places[0]


@dataclass(frozen=True, slots=True)
class SeenBlock:
    """What is known of a block; ``index`` from 0, ``width`` its positions in a row."""

    index: int
    reach: Reach
    width: int
    has_tokens: bool
    answers: dict[When, Answers]


class Watch:
    """Passes batches through the networks and keeps the answers of some blocks; ``wanted`` are their indices."""

    def __init__(self, networks: Networks, wanted: Sequence[int]) -> None:
        self._networks, self._wanted = networks, wanted
        self._models = {When.AFTER: networks.after} | ({When.BEFORE: networks.before} if networks.before else {})
        self._seen: dict[int, SeenBlock] = {}

    @property
    def blocks(self) -> list[SeenBlock]:
        """Those that have positions, lowest first."""
        return list(self._seen.values())

    def add(self, images: Tensor) -> None:
        """Pass a batch, (N, 3, H, H) normalised, through the networks."""
        if not self._seen:
            self._seen = {index: seen for index in self._wanted if (seen := self._begun(images[:_REACH_FROM], index))}
        with torch.no_grad():
            for when, model in self._models.items():
                self._pass(model, images, when)

    def _pass(self, model: Classifier, images: Tensor, when: When) -> None:
        output = images
        for index, block in enumerate(model.blocks()):
            output = block(output)
            if index in self._seen:
                self._seen[index].answers[when].add(_positions(self._networks.layout, output, index))

    def _begun(self, images: Tensor, index: int) -> SeenBlock | None:
        """A block without answers, its reach measured; that of tokens is given."""
        layout, model = self._networks.layout, self._networks.after
        with torch.no_grad():
            found = layout.positions(model.forward_frozen(images[:1], index + 1), index)
        if found is None:
            return None

        def run(given: Tensor) -> Positions:
            return _positions(layout, model.forward_frozen(given, index + 1), index)

        reach = of_token(found.height, images.shape[-1]) if found.has_tokens else measured(run, images)
        return SeenBlock(index, reach, found.width, found.has_tokens, {when: Answers() for when in self._models})


def _positions(layout: Layout, output: Tensor, index: int) -> Positions:
    found = layout.positions(output, index)
    assert found is not None, "the first picture had positions"
    return found
