"""A server in which everything has happened: written into ledger and tables, so that no test waits for a training."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from backend.datasets.version_repository import VersionRepository
from backend.db.session import WriteSession
from backend.dependencies import Services
from backend.domain.events import EpochFinished, Phase, PhaseStarted, StageFinished, StageStarted, StepFinished
from backend.domain.ids import CheckpointId, VersionId, new_id
from backend.domain.lr_finder import Curve, curve_of, finding
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.claiming import claim_next
from backend.ledger.job import Claim, Failure, JobKind, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.training import control
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.lr_finds import record as lr_finds_progress
from backend.training.lr_finds.service import start_find
from backend.training.record import StoredCheckpoint
from backend.training.start import RunOrder, start
from tests.conftest import OWNER_TOKEN
from tests.e2e.server import Server
from tests.fixtures.colour_model import write_colour_model
from tests.fixtures.pictures import CLASSES, draw, encode
from tests.fixtures.strangeness import measure_what_waits

SIDE = 16
STAGES = (StageRequest(freeze=True, epochs=4), StageRequest(freeze=False, epochs=2))
_FALL = [3.6 - 2.4 / (1 + math.exp(-0.14 * (step - 55))) + 0.02 * max(0.0, step - 80) ** 2 for step in range(100)]
SLOPE = curve_of([_FALL, [loss + 0.15 for loss in _FALL], [loss * 0.93 for loss in _FALL]], 100)
RISING = curve_of([[1 + (step / 50) ** 2 for step in range(100)]], 100)
WORKER = Worker("worker-1", "host-1")
_A_DAY_S = 86_400.0
"""The run that is under way stays so, however long all tests of pages take."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What people wrote: names of the dataset, of its classes, of the files and of the trainings."""

    dataset: str = "animals"
    classes: tuple[str, ...] = ("cat", "dog", "owl")
    file: str = "picture"
    run: str = "first try"


@dataclass(frozen=True, slots=True)
class Furnished:
    """What is there; ``runs`` by their state, ``finds`` (searches for a rate) by what they found."""

    server: Server
    wording: Wording
    dataset_id: str
    empty_dataset_id: str
    version_id: VersionId
    tested_image_id: str
    runs: Mapping[str, str]
    checkpoints: Sequence[str]
    finds: Mapping[str, str]
    past: "Past"


def furnish(server: Server, wording: Wording | None = None, each: int = 8) -> Furnished:
    """A dataset with a version, and runs: succeeded, failed, cancelled, running, two queued; and an empty dataset."""
    wording = wording or Wording()
    with _client(server) as client:
        empty_dataset_id = client.post("/datasets", json={"name": "nothing yet"}).json()["id"]
        dataset_id = client.post("/datasets", json={"name": wording.dataset}).json()["id"]
        _bring(client, dataset_id, wording, each)
        _fill_bin(client, dataset_id, wording)
        frozen = client.post(
            f"/datasets/{dataset_id}/versions",
            json={"rule": {"kind": "folder", "level": 1}, "split": {"kind": "random", "valid": 0.4, "seed": 1}},
        )
        version_id = VersionId(frozen.json()["id"])
    past = Past(server.services, version_id, wording)
    with server.services.database.write() as session:
        Ledger(session).heartbeat(WORKER, [JobKind.TRAIN], None, "0.1.0")
    succeeded = past.order("succeeded")
    checkpoints = past.succeed()
    finds = {"slope": past.search(SLOPE), "rising": past.search(RISING), "everything": past.search(SLOPE, freeze=False)}
    runs = {"succeeded": succeeded, "failed": past.order("failed")}
    past.fail()
    runs["cancelled"] = past.order("cancelled")
    past.cancel(runs["cancelled"])
    runs["running"] = past.order("running")
    past.run_on()
    runs["queued"] = past.order("queued")
    runs["queued behind it"] = past.order("queued")
    runs["continued"] = past.order("going on", starts_from=checkpoints[0])
    past.pause(runs["continued"])
    finds["waiting"] = past.order_search()
    tested, _ = past.tested[0]
    with _client(server) as client:
        client.post(f"/checkpoints/{checkpoints[-1]}/confidence/none-of-these")
    measure_what_waits(server.services.database, server.services.storage)
    return Furnished(server, wording, dataset_id, empty_dataset_id, version_id, tested, runs, checkpoints, finds, past)


def _client(server: Server) -> httpx.Client:
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    return httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=60, trust_env=False)


def _fill_bin(client: httpx.Client, dataset_id: str, wording: Wording) -> None:
    """Two pictures of the dataset, and another dataset."""
    other = client.post("/datasets", json={"name": f"{wording.dataset}, earlier"}).json()["id"]
    for place, of in enumerate((dataset_id, dataset_id, other)):
        name = f"deleted {wording.file} {place}.png"
        answer = client.post(f"/datasets/{of}/images", files=[("files", (name, encode(draw("circle", 9000 + place))))])
        assert answer.status_code == 200, answer.text
    client.request("DELETE", f"/datasets/{dataset_id}/images", json={"filter": "text=deleted"})
    client.delete(f"/datasets/{other}")


def _bring(client: httpx.Client, dataset_id: str, wording: Wording, each: int) -> None:
    files = [
        ("files", (f"{label}/{wording.file} {number}.png", encode(draw(CLASSES[place % 3], number + 1000 * place))))
        for place, label in enumerate(wording.classes)
        for number in range(each)
    ]
    files.append(("files", (f"{wording.file} broken.jpg", b"not a picture")))
    for begin in range(0, len(files), 200):
        answer = client.post(f"/datasets/{dataset_id}/images", files=files[begin : begin + 200])
        assert answer.status_code == 200, answer.text


@dataclass(slots=True)
class Past:
    """Orders trainings and tells what became of them, as a worker would."""

    services: Services
    version_id: VersionId
    wording: Wording
    running: Claim | None = None

    @property
    def tested(self) -> list[tuple[str, str]]:
        """(image id, label) of the validation images."""
        with self.services.database.read() as session:
            return VersionRepository(session).labels_of(self.version_id, "valid")

    def order(self, name: str, starts_from: CheckpointId | None = None) -> str:
        """A queued run."""
        order = RunOrder(self.version_id, TrainingRequest(stages=STAGES), f"{self.wording.run}, {name}", starts_from)
        with self.services.open_unit()() as unit:
            return start(unit, order, Path("/nowhere")).id

    def succeed(self, wrong: tuple[int, int] = (3, 2)) -> tuple[CheckpointId, ...]:
        """The run that waits trains both its stages; they get so many pictures wrong."""
        claim = self._claim()
        self._tell_stage(claim, 0, epochs=4)
        first = self._checkpoint(claim, 0, wrong[0])
        self._tell_stage(claim, 1, epochs=2)
        second = self._checkpoint(claim, 1, wrong[1])
        with self.services.database.write() as session:
            progress.finish(session, claim)
        return first, second

    def order_search(self, *, freeze: bool = True) -> str:
        """A queued search for a learning rate."""
        request = TrainingRequest(stages=(StageRequest(freeze=freeze, epochs=2, max_lr="find"),))
        with self.services.open_unit()() as unit:
            return start_find(unit, RunOrder(self.version_id, request), Path("/nowhere"))

    def search(self, curve: Curve, *, freeze: bool = True) -> str:
        """A search that has found a curve."""
        find_id = self.order_search(freeze=freeze)
        self.finish_search(find_id, curve, freeze=freeze)
        return find_id

    def finish_search(self, find_id: str, curve: Curve, *, freeze: bool = True) -> None:
        """A search that waits finds a curve; what is before it in the line is taken first."""
        claim = self._claim()
        while claim.subject_id != find_id:
            claim = self._claim()
        with self.services.database.write() as session:
            lr_finds_progress.finish(session, claim, curve, finding(curve, freeze=freeze))

    def fail(self) -> None:
        """The run that waits can't be done."""
        claim = self._claim()
        failure = Failure(
            "gpu-out-of-memory",
            f"There was no room on the graphics card for pictures of {self.wording.classes[0]}.",
            "Choose a smaller batch, and start again.",
        )
        with self.services.database.write() as session:
            progress.fail(session, claim, failure)

    def cancel(self, run_id: str) -> None:
        """Somebody thought better of it."""
        with self.services.database.write() as session:
            control.cancel(session, run_id)

    def pause(self, run_id: str) -> None:
        """Somebody lets it rest."""
        with self.services.database.write() as session:
            control.pause(session, run_id)

    def run_on(self) -> None:
        """The run that waits is in the middle of its first stage."""
        self.running = self._claim()
        self._tell_stage(self.running, 0, epochs=2)

    def go_on(self) -> None:
        """That run has got one epoch further, its third."""
        assert self.running is not None
        with self.services.database.write() as session:
            self._tell_epoch(session, self.running, 0, 2, 40, Standing(0, 2, 0.6, 60.0))

    def _claim(self) -> Claim:
        claim = claim_next(self.services.database, JobKind.TRAIN, WORKER, Timers(lease=_A_DAY_S))
        assert claim is not None
        with self.services.database.write() as session:
            progress.begin(session, claim)
        return claim

    def _tell_stage(self, claim: Claim, stage: int, epochs: int) -> None:
        planned, freeze = STAGES[stage].epochs or 0, bool(STAGES[stage].freeze)
        standing = Standing(stage, epochs - 1, 0.5, 95.0)
        began = (
            PhaseStarted(Phase.DATA, "Reading the pictures"),
            StageStarted(stage, freeze, planned, 0, 10, "cpu"),
        )
        with self.services.database.write() as session:
            progress.record_events(session, claim, began, standing)
            for epoch in range(epochs):
                self._tell_epoch(session, claim, stage, epoch, 10 * planned, standing)

    def _tell_epoch(
        self, session: WriteSession, claim: Claim, stage: int, epoch: int, steps: int, standing: Standing
    ) -> None:
        losses = tuple(1.2 / (1 + epoch + step / 10) for step in range(10))
        done = StepFinished(stage, epoch, 10 * epoch + 10, steps, losses, 0.002, 0.9, 64.0)
        progress.record_events(session, claim, [done], standing)
        row = EpochFinished(stage, epoch, 0.8 / (1 + epoch), 0.9 / (1 + epoch), 0.3, 0.7, 0.002, 12.0)
        progress.record_epoch(session, claim, row, None, standing)

    def _checkpoint(self, claim: Claim, stage: int, wrong: int) -> CheckpointId:
        checkpoint_id = CheckpointId(new_id())
        evaluation = self._evaluation(wrong)
        folder = self.services.storage.folder("checkpoints", checkpoint_id)
        # By the means of red, green and blue; classes beyond the third are never said.
        write_colour_model(folder, 4 * np.eye(3, len(self.wording.classes), dtype=np.float32), SIDE)
        _write_answers(folder, evaluation)
        images = len(evaluation.image_ids)
        rate = wrong / images
        valid = {"images": images, "errors": wrong, "error_rate": rate, "loss": 0.4}
        content = {
            "architecture": "efficientnet-lite0",
            "classes": list(evaluation.classes),
            "preprocessing": {"size": SIDE, "resize_to": SIDE, "mean": [0.5] * 3, "std": [0.5] * 3},
            "metrics": {"valid": valid},
        }
        parity = {"max_difference": 1e-6, "agreement": 1.0, "images": images}
        stored = StoredCheckpoint(checkpoint_id, checkpoint_id, content, parity, {Split.VALID: evaluation})
        finished = StageFinished(stage, 3, checkpoint_id, "b" * 64, 1234, 0.4, rate, 1e-6, 1.0, images)
        with self.services.database.write() as session:
            return progress.record_checkpoint(session, claim, finished, stored, Standing(stage, 3, 0.7, 30.0))

    def _evaluation(self, wrong: int) -> Evaluation:
        """The first ``wrong`` pictures are taken for the next class, the rest is right."""
        classes = tuple(sorted(self.wording.classes))
        tested = self.tested
        targets = np.array([classes.index(label) for _, label in tested], dtype=np.int64)
        said = targets.copy()
        said[:wrong] = (said[:wrong] + 1) % len(classes)
        probabilities = np.full((len(tested), len(classes)), 0.1 / (len(classes) - 1), dtype=np.float32)
        probabilities[np.arange(len(tested)), said] = 0.9
        return Evaluation(classes, tuple(image_id for image_id, _ in tested), probabilities, targets)


def _write_answers(folder: Path, evaluation: Evaluation) -> None:
    """As ``write_predictions`` of the engine, which needs torch (Any: float32 and int64)."""
    tensors: dict[str, NDArray[Any]] = {"probabilities": evaluation.probabilities, "targets": evaluation.targets}
    safetensors.numpy.save_file(tensors, folder / "predictions.safetensors")
    ids = {"classes": list(evaluation.classes), "image_ids": list(evaluation.image_ids)}
    (folder / "predictions.json").write_text(json.dumps(ids), "utf-8")
