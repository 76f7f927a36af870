"""How long pictures take to be added and looked at: ``python -m benchmarks.arriving PHOTOS [--pictures 10000]``.

As many pictures as are wanted are drawn from a folder of photos (another part of one each time, saved anew as JPEG, so
that no two are the same), one in a thousand blank, and packed into a zip file. Each round measures in turn, in
processes of their own:

- **bare**: the zip file unpacked and every picture verified by Pillow, which of a JPEG looks at the header only;
- **decoded**: the zip file unpacked, every picture decoded by Pillow and a copy for grids saved, on all processors;
- **import**: the same file sent to ``tellapart serve``, until its import has ended;
- **examine**: from then until every picture has been examined (features, copies, neighbours);
- **features**: those features alone, by the engine.
"""

import argparse
import random
import statistics
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import psutil
from PIL import Image

from benchmarks import measuring
from benchmarks.processes import answer_of
from benchmarks.settled import settle
from tests.fixtures.serve_process import AS_DELIVERED, ServeProcess

_BLANK_EVERY: Final = 1_000
_EVERY: Final = 0.1
_LONGEST: Final = 3_600.0
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of one round.

    Attributes:
        bare, decoded, imported, features: see the module.
        first_finding: from the end of the upload until a blank picture is listed as such.
        examined: from the end of the import until all pictures have been examined.
        memory: most MiB of all processes of the server together while it imported.
    """

    bare: float
    decoded: float
    imported: float
    first_finding: float
    examined: float
    features: float
    memory: float


def draw(photos: Path, pictures: int, archive: Path) -> None:
    """Write the zip file; the label is the folder."""
    chance = random.Random(7)
    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    opened = [Image.open(path).convert("RGB") for path in files]
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(pictures):
            place = number % len(opened)
            whole = opened[place]
            share = chance.uniform(0.7, 0.95)
            width, height = round(whole.width * share), round(whole.height * share)
            left, top = chance.randint(0, whole.width - width), chance.randint(0, whole.height - height)
            part = whole.crop((left, top, left + width, top + height))
            if number % _BLANK_EVERY == 0:
                part.paste((number % 251, 90, 90), (0, 0, width, height))
            with BytesIO() as buffer:
                part.save(buffer, "JPEG", quality=88)
                packed.writestr(f"{files[place].stem.rpartition('_')[0] or 'one'}/{number}.jpg", buffer.getvalue())


@contextmanager
def _watched(server: int) -> Iterator[list[float]]:
    """The most memory that a process and all that descend from it had together, in MiB, as the list's only item."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(10 * _EVERY):
            total = 0
            for process in [psutil.Process(server), *psutil.Process(server).children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss  # what processes share counts once
                except psutil.NoSuchProcess:
                    continue
            most[0] = max(most[0], total / _MIB)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def _ours(archive: Path) -> dict[str, float]:
    with TemporaryDirectory(prefix="arriving-") as work:
        served = ServeProcess(Path(work), settings=AS_DELIVERED)
        try:
            served.wait_until_ready()
            with served.client() as client:
                settle(client)
            with served.client() as client, _watched(served.process.pid) as memory:
                return _followed(client, archive, memory)
        finally:
            served.end()


def _followed(client: httpx.Client, archive: Path, memory: list[float]) -> dict[str, float]:
    dataset_id = client.post("/api/v1/datasets", json={"name": "arriving"}).raise_for_status().json()["id"]
    with archive.open("rb") as content:
        sent = client.post(
            f"/api/v1/datasets/{dataset_id}/archive",
            params={"name": archive.name},
            content=iter(lambda: content.read(_MIB), b""),
            timeout=_LONGEST,
        )
    import_id = sent.raise_for_status().json()["id"]
    begun = time.monotonic()
    first_finding = 0.0
    while True:
        standing = client.get(f"/api/v1/imports/{import_id}").json()
        if not first_finding:
            blank = client.get(f"/api/v1/datasets/{dataset_id}/images?flag=blank&limit=1").json()["items"]
            first_finding = time.monotonic() - begun if blank else 0.0
        if standing["status"] not in ("queued", "running"):
            break
        _wait(begun)
    imported, most = time.monotonic() - begun, memory[0]
    body = {"rule": {"kind": "folder", "level": 1}, "split": {"kind": "random", "valid": 0.2, "seed": 1}}
    version = client.post(f"/api/v1/datasets/{dataset_id}/versions", json=body, timeout=_LONGEST).raise_for_status()
    guess = f"/api/v1/versions/{version.json()['id']}/first-guess"
    while client.get(guess).json().get("examined") != 1:
        _wait(begun)
    examined = time.monotonic() - begun - imported
    return {"imported": imported, "first_finding": first_finding, "examined": examined, "memory": most}


def _wait(begun: float) -> None:
    if time.monotonic() - begun > _LONGEST:
        raise TimeoutError("It took more than an hour.")
    time.sleep(_EVERY)


def _child(part: str, archive: Path, work: Path) -> float:
    answer: dict[str, Any] = answer_of([sys.executable, "-m", "benchmarks.arriving_child", part, str(archive)], work)
    return float(answer["seconds"])


def main() -> None:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the seconds there as well")
    chosen = parser.parse_args()
    rounds: list[Round] = []
    with TemporaryDirectory(prefix="arriving-") as folder:
        archive = Path(folder) / "pictures.zip"
        draw(chosen.photos, chosen.pictures, archive)
        for number in range(chosen.rounds):
            work = Path(folder) / f"round-{number}"
            bare = _child("verify", archive, work / "verify")
            decoded = _child("decode", archive, work / "decode")
            ours = _ours(archive)
            rounds.append(
                Round(bare=bare, decoded=decoded, features=_child("features", archive, work / "features"), **ours)
            )
    medians = {name: statistics.median(getattr(one, name) for one in rounds) for name in Round.__slots__}
    print("| what | seconds | against | ratio |\n|---|---|---|---|")
    print(f"| bare unzip and verify | {medians['bare']:.1f} | | |")
    print(f"| unzip, decode and copies for grids | {medians['decoded']:.1f} | | |")
    for name in ("bare", "decoded"):
        ratio = statistics.median(getattr(one, name) / one.imported for one in rounds)
        print(f"| import | {medians['imported']:.1f} | {name}, pictures a second | {ratio:.2f} |")
    print(f"| first finding | {medians['first_finding']:.1f} | | |")
    ratio = statistics.median(one.examined / one.features for one in rounds)
    print(f"| examination | {medians['examined']:.1f} | features alone | {ratio:.2f} |")
    print(f"| features alone | {medians['features']:.1f} | | |")
    print(f"{chosen.pictures:,} pictures, {len(rounds)} rounds; at most {medians['memory']:.0f} MiB while importing.")
    if chosen.json:
        measuring.write(chosen.json, [asdict(one) for one in rounds])


if __name__ == "__main__":
    main()
