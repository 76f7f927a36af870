"""Which pretrained weights this machine has already, found without torch."""

import importlib.util
from pathlib import Path

from backend.domain.architectures import ARCHITECTURES, Architecture, PretrainedWeights, WeightSource


def at_hand(weights: PretrainedWeights, folder: Path) -> bool:
    """Whether training can start from these weights without a download.

    Looks for the file by name; its hash is checked when it is used.
    """
    match weights.source:
        case WeightSource.PACKAGE:
            return package_file(weights.package) is not None
        case WeightSource.DOWNLOAD:
            return (folder / weights.file_name).is_file()


def package_file(package: str) -> Path | None:
    """The one weights file that an installed package carries; None where it isn't installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    return next(iter(sorted(Path(found.origin).parent.rglob("*.pth"))), None)


def architectures_at_hand(folder: Path) -> list[Architecture]:
    """Architectures of the catalogue with at least one set of weights at hand, in its order."""
    return [entry for entry in ARCHITECTURES.values() if any(at_hand(weights, folder) for weights in entry.weights)]
