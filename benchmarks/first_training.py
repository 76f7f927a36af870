"""How long it takes from Train to a result on new pictures: ``python -m benchmarks.first_training FOLDER``.

Each round starts ``tellapart serve`` with nothing in its data folder, waits for its test of the machine, brings the
folder, waits until every picture has been examined, and orders ``recommended`` twice, with two seeds. The first
training is the one that a user waits for after an import; the second finds a worker that has just trained, so their
ratio says what the first still pays. Seconds are wall-clock time, counted by a program that asks every 100 ms.
"""

import argparse
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from benchmarks import measuring
from benchmarks.settled import until, until_tested
from tests.fixtures.serve_process import AS_DELIVERED, ServeProcess

AIM_SECONDS: Final = 2.0
_PERSON_S: Final = 10.0
"""How long a person looks at the train page; meanwhile a process gets ready for the training."""


@dataclass(frozen=True, slots=True)
class Waited:
    """Seconds from the order of a training.

    Attributes:
        epoch: until the first epoch was validated.
        result: until the last epoch of the head was.
        model: until the head's model could be used.
    """

    epoch: float
    result: float
    model: float


def _bring(client: httpx.Client, folder: Path, pattern: str | None) -> str:
    """The id of a version of the folder's pictures, all of which have been examined."""
    dataset_id = client.post("/api/v1/datasets", json={"name": folder.name}).raise_for_status().json()["id"]
    order = {"server_folder": str(folder)}
    import_id = client.post(f"/api/v1/datasets/{dataset_id}/from-urls", json=order).raise_for_status().json()["id"]
    until(lambda: client.get(f"/api/v1/imports/{import_id}").json()["status"] not in ("queued", "running"))
    rule = {"kind": "pattern", "pattern": pattern} if pattern else {"kind": "folder", "level": 1}
    body = {"rule": rule, "split": {"kind": "random", "valid": 0.2, "seed": 1}}
    made = client.post(f"/api/v1/datasets/{dataset_id}/versions", json=body).raise_for_status()
    version_id: str = made.json()["id"]
    until(lambda: client.get(f"/api/v1/versions/{version_id}/first-guess").json()["status"] == "ready")
    until_tested(client, version_id)
    return version_id


def _train(client: httpx.Client, version_id: str, seed: int) -> Waited:
    order: dict[str, Any] = {"version_id": version_id, "config": {"recipe": "recommended", "seed": seed}}
    begun = time.monotonic()
    run = client.post("/api/v1/runs", json=order).raise_for_status().json()
    of_head = run["config"]["stages"][0]["epochs"]
    epochs = f"/api/v1/runs/{run['id']}/epochs"
    until(lambda: client.get(epochs).json()["items"])
    first = time.monotonic() - begun
    until(lambda: len(client.get(epochs).json()["items"]) >= of_head)
    result = time.monotonic() - begun
    until(lambda: client.get(f"/api/v1/runs/{run['id']}").json()["checkpoints"])
    model = time.monotonic() - begun
    client.post(f"/api/v1/runs/{run['id']}/cancel")
    until(lambda: client.get(f"/api/v1/runs/{run['id']}").json()["ended_at"] is not None)
    return Waited(epoch=first, result=result, model=model)


def _round(folder: Path, pattern: str | None) -> tuple[Waited, Waited]:
    with TemporaryDirectory(prefix="first-training-") as work:
        served = ServeProcess(Path(work), settings={"TELLAPART_IMPORT_ROOTS": str(folder.parent), **AS_DELIVERED})
        try:
            served.wait_until_ready()
            with served.client() as client:
                version_id = _bring(client, folder, pattern)
                time.sleep(_PERSON_S)
                return _train(client, version_id, seed=1), _train(client, version_id, seed=2)
        finally:
            served.end()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pattern", help="finds the label in a picture's name; without it the folder is the label")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the seconds there as well")
    chosen = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles all modules anew
    before = measuring.load_average()
    rounds = [_round(chosen.folder.resolve(), chosen.pattern) for _ in range(chosen.rounds)]
    print("| seconds until | first training | second | ratio |\n|---|---|---|---|")
    for name in ("epoch", "result", "model"):
        first, second = (statistics.median(getattr(pair[place], name) for pair in rounds) for place in (0, 1))
        print(f"| {name} | {first:.2f} | {second:.2f} | {first / second:.2f} |")
    load = f"load average {before:.1f} before, {measuring.load_average():.1f} after"
    print(f"{len(rounds)} rounds; {load}; aim {AIM_SECONDS:.0f} s until the result.")
    if chosen.json:
        measuring.write(chosen.json, [[asdict(waited) for waited in pair] for pair in rounds])


if __name__ == "__main__":
    main()
