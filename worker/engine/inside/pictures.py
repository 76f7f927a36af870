"""The pictures that are looked at, as the network sees them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.domain.ids import ImageId
from backend.domain.inside import SampleImage
from backend.domain.manifest import ManifestImage, Split
from backend.imaging.preprocessing import Pixels, Preprocessing, evaluation_view
from worker.engine.data.source import ImageSource, Unreadable
from worker.engine.inside.units import standardised
from worker.engine.order import OpenBytes

_BATCH: Final = 16
_GREY_SIDE: Final = 32

OnProgress = Callable[[int, int], None]
"""Called with the pictures that are done, and all."""
Item = TypeVar("Item")


class Pictures:
    """Pictures by their place in ``seen``.

    Attributes:
        seen: those that could be read, once ``batches`` is over.
        greys: (N, D) of these, rows as ``standardised``: the product of near copies is nearly 1.
    """

    def __init__(self, wanted: Sequence[SampleImage], open_bytes: OpenBytes, preprocessing: Preprocessing) -> None:
        self._source, self._wanted, self.preprocessing = ImageSource(open_bytes, preprocessing), wanted, preprocessing
        self.seen: list[SampleImage] = []
        self.greys: NDArray[np.float32] = np.zeros((0, _GREY_SIDE**2), np.float32)

    def batches(self, on_progress: OnProgress) -> Iterator[list[Pixels]]:
        """Views of the pictures that can be read, in their order."""
        greys, done = [], 0
        for group in _groups(self._wanted):
            found = [(image, view) for image, view in zip(group, self._views(group), strict=True) if view is not None]
            self.seen += [image for image, _ in found]
            greys += [_grey(view) for _, view in found]
            if found:
                yield [view for _, view in found]
            done += len(group)
            on_progress(done, len(self._wanted))
        if greys:
            self.greys = standardised(np.stack(greys))

    def views(self, indices: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Views of pictures that were seen, once more."""
        for group in _groups(indices):
            for index, view in zip(group, self._views([self.seen[one] for one in group]), strict=True):
                if view is not None:
                    yield index, view

    def _views(self, images: Sequence[SampleImage]) -> list[Pixels | None]:
        # Pillow lets go of Python's lock while it decodes and resizes.
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self._view, images))

    def _view(self, image: SampleImage) -> Pixels | None:
        known = ManifestImage(ImageId(image.id), image.digest, image.id, image.label, Split.TRAIN)
        found = self._source.resized(known)
        return None if isinstance(found, Unreadable) else evaluation_view(found, self.preprocessing)


def _groups(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for begin in range(0, len(items), _BATCH):
        yield items[begin : begin + _BATCH]


def _grey(view: Pixels) -> NDArray[np.float32]:
    small = Image.fromarray(view).convert("L").resize((_GREY_SIDE, _GREY_SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).reshape(-1)
