"""Which pretrained weights are on this machine, found without torch."""

import importlib.util
from pathlib import Path

from backend.domain.architectures import ARCHITECTURES, Architecture, PretrainedWeights, WeightSource


def is_available(weights: PretrainedWeights, folder: Path) -> bool:
    """Whether training can begin with these weights without a download.

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


def available_architectures(folder: Path) -> list[Architecture]:
    """Architectures of the catalogue with at least one set of weights on this machine, in its order."""
    return [entry for entry in ARCHITECTURES.values() if any(is_available(one, folder) for one in entry.weights)]
