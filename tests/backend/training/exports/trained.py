"""A real training of a small network on drawn pictures, in this process, and what can be taken away of it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.architectures import ARCHITECTURES
from backend.domain.json import Json
from backend.ledger.claiming import claim_next
from backend.ledger.job import JobKind, Worker
from backend.ledger.timers import Timers
from tests.fixtures.pictures import folder_of_shapes
from worker.engine.order import NeverStop
from worker.jobs.train_job import train_job

NETWORK = "resnet18"
SIZE = 64
_A_DAY_S = 86_400.0
"""Nobody says that the worker is alive, and the machine may be slow."""


@contextmanager
def drawn_weights(folder: Path) -> Iterator[Path]:
    """The file of drawn weights that stand for the network's pretrained ones while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        tensors = torchvision.models.get_model(NETWORK, weights=None).state_dict()
    file = folder / "drawn.pth"
    torch.save(tensors, file)
    prefix = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    file = file.rename(folder / f"{NETWORK}-{prefix}.pth")
    entry = ARCHITECTURES[NETWORK]
    weights = replace(entry.weights[0], file_name=file.name, sha256_prefix=prefix)
    ARCHITECTURES[NETWORK] = replace(entry, weights=(weights,))
    try:
        yield file
    finally:
        ARCHITECTURES[NETWORK] = entry


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that has succeeded, by REST."""

    client: TestClient
    version_id: str
    run_id: str

    @property
    def checkpoints(self) -> list[Json]:
        """One a stage."""
        found: list[Json] = self.client.get(f"/api/v1/runs/{self.run_id}").json()["checkpoints"]
        return found

    @property
    def epochs(self) -> list[Json]:
        """The course's table."""
        found: list[Json] = self.client.get(f"/api/v1/runs/{self.run_id}/epochs").json()["items"]
        return found

    def export(self, format: str, *, stage: int = -1, **query: str) -> Any:  # Any: the test client's answer
        """What is answered for a form of a stage's model."""
        params = {"format": format, **query}
        return self.client.get(f"/api/v1/checkpoints/{self.checkpoints[stage]['id']}/export", params=params)

    def pictures(self) -> bytes:
        """The version as a ZIP."""
        return self.client.get(f"/api/v1/versions/{self.version_id}/export").content


def train(
    client: TestClient,
    services: Services,
    stages: Sequence[Json],
    *,
    each: int = 10,
    starts_from: str | None = None,
    **config: Any,  # Any: settings of a training
) -> Trained:
    """Upload shapes, freeze a version of them and train on it."""
    dataset_id = client.post("/api/v1/datasets", json={"name": "Shapes & <b>more</b>"}).json()["id"]
    # Half as many circles: what is done about unequal classes makes a difference.
    left_out = {f"shapes/circle/{number}.png" for number in range(each // 2)}
    files = [("files", file) for file in folder_of_shapes(each, size=80).items() if file[0] not in left_out]
    assert client.post(f"/api/v1/datasets/{dataset_id}/images", files=files).status_code == 200
    frozen = {"rule": {"kind": "folder", "level": 1}, "split": {"kind": "random", "valid": 0.4, "seed": 1}}
    version = client.post(f"/api/v1/datasets/{dataset_id}/versions", json=frozen).json()
    return train_again(client, services, version["id"], stages, starts_from=starts_from, **config)


def train_again(
    client: TestClient,
    services: Services,
    version_id: str,
    stages: Sequence[Json],
    *,
    starts_from: str | None = None,
    **config: Any,  # Any: as above
) -> Trained:
    """Train on a version that is there."""
    asked = {"architecture": NETWORK, "image_size": SIZE, "batch_size": 8, "precision": "float32", "device": "cpu"}
    body = {"version_id": version_id, "config": {**asked, "stages": list(stages), **config}, "starts_from": starts_from}
    answer = client.post("/api/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    claim = claim_next(services.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers(lease=_A_DAY_S))
    assert claim is not None
    train_job(services.settings, claim.job_id, claim.attempt, NeverStop())
    trained = Trained(client, version_id, answer.json()["id"])
    run = client.get(f"/api/v1/runs/{trained.run_id}").json()
    assert run["status"] == "succeeded", run["failure"]
    return trained
