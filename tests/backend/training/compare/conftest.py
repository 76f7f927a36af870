"""A dataset of cats and dogs with versions, and runs whose answers a test decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import CheckpointId, VersionId, new_id
from backend.domain.json import Json
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.domain.training import TrainingRequest
from backend.ledger.claiming import claim_next
from backend.ledger.job import Claim, Failure, JobKind, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.tables.datasets import DatasetRow, ImagePathRow, ImageRow, VersionImageRow, VersionRow
from backend.training import record
from backend.training.checkpoint_jobs.service import finish
from backend.training.forecast.eta import Standing
from backend.training.record import StoredCheckpoint
from backend.training.start import RunOrder, start
from tests.backend.training.scene import STAGES, Scene, epoch_finished, stage_finished

RULE = {"kind": "folder", "level": 1}
SPLIT = {"kind": "folder", "train": "train", "valid": "valid"}


@dataclass
class Pets:
    """Ana's pictures ``train/cat/0.png`` to ``valid/dog/9.png``, ten of each kind, by REST and in the tables."""

    client: TestClient
    database: Database
    dataset_id: str
    images: dict[str, str] = field(default_factory=dict)

    def bring(self, *paths: str) -> None:
        """More pictures; their files are never read."""
        with self.database.write() as session:
            for path in paths:
                image_id = self.images[path] = new_id()
                session.add(
                    ImageRow(
                        id=image_id,
                        dataset_id=self.dataset_id,
                        digest=f"{len(self.images):064x}",
                        path=path,
                        format="PNG",
                        width=32,
                        height=32,
                        bytes=1,
                    )
                )
                session.flush()
                session.add(ImagePathRow(id=new_id(), dataset_id=self.dataset_id, image_id=image_id, path=path))

    def freeze(self) -> str:
        """The id of a new version: labels by folder, with what was changed by hand."""
        answer = self.client.post(f"/api/v1/datasets/{self.dataset_id}/versions", json={"rule": RULE, "split": SPLIT})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def relabel(self, labels: Mapping[str, str | None]) -> None:
        """Change labels by hand; None leaves a picture out."""
        changes = [{"image_id": self.images[path], "label": label} for path, label in labels.items()]
        answer = self.client.patch(f"/api/v1/datasets/{self.dataset_id}/labels", json={"changes": changes})
        assert answer.status_code == 200, answer.text

    def rename(self, names: list[str], to: str) -> None:
        """Rename or merge classes."""
        address = f"/api/v1/datasets/{self.dataset_id}/labels/classes"
        answer = self.client.post(address, json={"classes": names, "to": to})
        assert answer.status_code == 200, answer.text

    def train(self, version_id: str, answers: Mapping[str, str] | None = None, seed: int = 42) -> str:
        """A run that is right on all validation pictures but those in ``answers``."""
        scene = Scene(self.database)
        request = TrainingRequest(architecture="efficientnet-lite0", stages=STAGES[:1], seed=seed)
        with unit_of_work(self.database, NoNotifier()) as unit:
            run_id = start(unit, RunOrder(VersionId(version_id), request), Path("/nowhere")).id
        claim = scene.claim()
        evaluation = self._evaluation(version_id, answers or {})
        images = len(evaluation.image_ids)
        valid = {"images": images, "errors": evaluation.errors, "error_rate": evaluation.errors / images, "loss": 0.4}
        checkpoint_id = CheckpointId(new_id())
        content: dict[str, Json] = {
            "architecture": "efficientnet-lite0",
            "classes": list(evaluation.classes),
            "preprocessing": {},
            "metrics": {"valid": valid},
        }
        stored = StoredCheckpoint(checkpoint_id, checkpoint_id, content, {}, {Split.VALID: evaluation})
        with self.database.write() as session:
            record.record_epoch(session, claim, epoch_finished(0, 0), None, Standing())
            record.record_checkpoint(session, claim, stage_finished(0), stored, Standing())
        scene.finish(claim)
        return run_id

    def compare(self, before: str, after: str, query: str = "") -> Json:
        """What the API says of two runs."""
        answer = self.client.get(f"/api/v1/runs/{before}/compare/{after}?{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def count_chance(self, disagreeing: Mapping[str, list[str]]) -> None:
        """What a worker finds: three trainings, and what each answered to these pictures."""
        claim = self._claim_chance()
        found = {self.images[path]: answers for path, answers in disagreeing.items()}
        with self.database.write() as session:
            finish(session, claim, {"seeds": [43, 44, 45], "images": 20, "disagreeing": found})

    def fail_chance(self, failure: Failure) -> None:
        """It can't be counted."""
        claim = self._claim_chance()
        with self.database.write() as session:
            Ledger(session).fail(claim.job_id, claim.attempt, failure)

    def _claim_chance(self) -> Claim:
        claim = claim_next(self.database, JobKind.FLIPS, Worker("worker-1", "host-1", "cpu"), Timers())
        assert claim is not None
        return claim

    def _evaluation(self, version_id: str, answers: Mapping[str, str]) -> Evaluation:
        paths = {image_id: path for path, image_id in self.images.items()}
        with self.database.read() as session:
            classes = tuple(session.get_one(VersionRow, version_id).classes)
            query = select(VersionImageRow.image_id, VersionImageRow.label).where(
                VersionImageRow.version_id == version_id, VersionImageRow.split == "valid"
            )
            tested = [(image_id, label) for image_id, label in session.execute(query)]
        probabilities = np.full((len(tested), len(classes)), 0.1, dtype=np.float32)
        for row, (image_id, label) in enumerate(tested):
            probabilities[row, classes.index(answers.get(paths[image_id], label))] = 0.8
        targets = np.array([classes.index(label) for _, label in tested], dtype=np.int64)
        return Evaluation(classes, tuple(image_id for image_id, _ in tested), probabilities, targets)


def new_pets(client: TestClient, database: Database) -> Pets:
    """Ten pictures of each kind on each side."""
    dataset_id = new_id()
    with database.write() as session:
        session.add(DatasetRow(id=dataset_id, name="pets"))
    pets = Pets(client, database, dataset_id)
    pets.bring(*(f"{side}/{kind}/{n}.png" for side in ("train", "valid") for kind in ("cat", "dog") for n in range(10)))
    return pets


@pytest.fixture
def pets(client: TestClient, database: Database) -> Pets:
    """Ana's dataset."""
    return new_pets(client, database)


def cats(*numbers: int) -> dict[str, str]:
    """Validation pictures of cats that are taken for dogs."""
    return {f"valid/cat/{n}.png": "dog" for n in numbers}
