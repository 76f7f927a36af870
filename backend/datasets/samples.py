"""Sample datasets, made from installed packages: no internet is needed."""

import importlib.util
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from backend.datasets.errors import SampleNotFound, SampleNotInstalled
from backend.datasets.ingest import IncomingFile


@dataclass(frozen=True, slots=True)
class Sample:
    """A dataset for a first try.

    Attributes:
        package: the Python package that contains it.
        rule: how its labels are read (Any: a rule's JSON).
    """

    name: str
    title: str
    images: int
    classes: int
    licence: str
    citation: str
    package: str
    rule: dict[str, Any]
    files: Callable[[], Iterator[IncomingFile]]

    @property
    def at_hand_offline(self) -> bool:
        """Whether it can be taken without internet, because its package is installed."""
        return importlib.util.find_spec(self.package) is not None


def _digits() -> Iterator[IncomingFile]:
    # Takes about a second, and only an import needs it.
    from sklearn.datasets import load_digits

    scans = load_digits()
    for number, (scan, digit) in enumerate(zip(scans.images, scans.target, strict=True)):
        # Inks 0 to 16 on white paper; 8 x 8 is too small to look at.
        image = Image.fromarray((255 - scan * 255 / 16).round().astype("uint8"))
        file = io.BytesIO()
        image.resize((64, 64), Image.Resampling.BILINEAR).save(file, "PNG")
        yield IncomingFile(f"digits/{digit}_{number:04}.png", file.getvalue())


SAMPLES: Final = {
    sample.name: sample
    for sample in (
        Sample(
            name="digits",
            title="Handwritten digits",
            images=1_797,
            classes=10,
            licence="CC BY 4.0",
            citation=(
                "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, "
                "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49"
            ),
            package="sklearn",
            rule={"kind": "pattern", "pattern": r"/(\d)_\d+\.png$"},
            files=_digits,
        ),
    )
}


def find_sample(name: str) -> Sample:
    """A sample by its name.

    Raises:
        SampleNotFound, SampleNotInstalled
    """
    if name not in SAMPLES:
        raise SampleNotFound(name)
    if not SAMPLES[name].at_hand_offline:
        raise SampleNotInstalled(SAMPLES[name].package)
    return SAMPLES[name]
