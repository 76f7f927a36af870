"""What ``benchmarks.arriving`` compares with: ``arriving_child verify|decode|features ARCHIVE WORK RESULT``."""

import sys
import time
import zipfile
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from backend.domain.ids import ImageId
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.thumbnails import GRID
from backend.settings import load
from backend.storage.local import LocalStorage
from benchmarks import measuring


def verify(archive: Path, work: Path) -> float:
    """Seconds to unpack all, and to let Pillow verify every picture."""
    begun = time.monotonic()
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(work / "pictures")
    for path in sorted((work / "pictures").rglob("*.jpg")):
        with Image.open(path) as image:
            image.verify()
    return time.monotonic() - begun


def decode(archive: Path, work: Path) -> float:
    """Seconds to unpack all, decode every picture and save a copy for grids, on all processors."""
    begun = time.monotonic()
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(work / "pictures")
    with ProcessPoolExecutor() as pool:
        deque(pool.map(_copied, sorted((work / "pictures").rglob("*.jpg")), chunksize=16), maxlen=0)
    return time.monotonic() - begun


def _copied(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
        image.thumbnail((GRID, GRID))
        image.save(path.with_name(f"{path.stem}-grid.jpg"), "JPEG", quality=82)


def features(archive: Path, work: Path) -> float:
    """Seconds for the features of every stored picture, as an examination computes them; torch's import included."""
    storage = LocalStorage(work / "storage")
    with zipfile.ZipFile(archive) as packed:
        images = [
            ManifestImage(ImageId(name), storage.put_bytes(packed.read(name)), name, "", Split.TRAIN)
            for name in packed.namelist()
        ]
    begun = time.monotonic()
    from worker.engine.embedding import Embedder
    from worker.engine.order import NeverStop, TrainingOrder

    order = TrainingOrder(
        manifest=Manifest(("",), tuple(images)),
        config=resolve(TrainingRequest()),
        open_bytes=storage.read_blob,
        output_folder=work,
        state_folder=work,
        weights_folder=load(_env_file=None).weights_folder,
        device="cpu",
        features_folder=work / "features",
    )
    unreadable = Embedder(order, NeverStop()).compute(images, lambda done: None)
    assert not unreadable
    return time.monotonic() - begun


def main() -> None:
    """Do one of them, and write how long it took."""
    part, archive, work, result = sys.argv[1], *map(Path, sys.argv[2:5])
    measuring.write(
        result, {"seconds": {"verify": verify, "decode": decode, "features": features}[part](archive, work)}
    )


if __name__ == "__main__":
    main()
