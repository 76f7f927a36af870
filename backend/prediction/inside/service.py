"""What is known of the inside of a checkpoint's network: kept on disk, or made when somebody asks for it."""

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from backend.datasets.manifests import manifest
from backend.dependencies import Services
from backend.domain.ids import CheckpointId, RunId
from backend.domain.inside import (
    FAILURE_FILE,
    FORMAT,
    MOST_IMAGES,
    ORDER_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    Inside,
    InsideOrder,
    SampleImage,
)
from backend.domain.runs import CheckpointNotFound
from backend.domain.training import TrainingConfig
from backend.interpretation.find import results_of
from backend.prediction.inside.errors import InsidePictureMissing
from backend.prediction.inside.looking import LOOKS
from backend.storage.base import Storage
from backend.storage.local import write_file
from backend.tables.training import CheckpointRow, RunRow
from backend.training.find import checkpoint_folder, find_checkpoint, find_run
from backend.weights import is_available

Status = Literal["none", "waiting", "computing", "failed", "ready"]
KIND: Final = "inside"
"""Folder of the storage; below it one for each checkpoint's folder, below that one for each key."""
_FILE_NAME: Final = re.compile(r"[a-z0-9-]{1,60}\.(png|webp)")
_starting = threading.Lock()
_INSIDE: Final = TypeAdapter(Inside)
_ORDER: Final = TypeAdapter(InsideOrder)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a look inside is.

    Attributes:
        key: names what is looked at: checkpoint, version and what is measured.
        done, total: pictures, while it is computing; 0 where that isn't known yet.
        found: what was found; None unless ``ready``.
        failure: why it failed, in words.
        was_frozen: whether no stage that led to the checkpoint trained the pretrained layers.
    """

    run_id: RunId
    checkpoint_id: CheckpointId
    key: str
    status: Status
    was_frozen: bool
    done: int = 0
    total: int = 0
    found: Inside | None = None
    failure: str = ""

    @property
    def message(self) -> str:
        """What is to be said of it, in a sentence or two."""
        match self.status:
            case "none":
                return "Nobody has looked inside this model yet."
            case "waiting":
                return "Waiting for another look inside a network to end."
            case "computing" if not self.total:
                return "Loading the network."
            case "computing" if self.done == self.total:
                return "All pictures have passed through the network. Choosing and cutting out patches."
            case "computing":
                return f"{self.done:,} of {self.total:,} pictures have passed through the network."
            case "failed":
                return self.failure
            case "ready":
                return "Done."


def inside_of(session: Session, services: Services, run_id: str, checkpoint_id: str | None) -> Standing:
    """How far the look inside a checkpoint is; of the run's best one where none is named.

    One that was asked for before the server stopped is begun again.

    Raises:
        RunNotFound, CheckpointNotFound, NoResultsYet
    """
    plan = _plan(session, services, run_id, checkpoint_id)
    folder = plan.folder
    if (found := _read(folder)) is not None:
        return plan.standing("ready", found=found)
    if LOOKS.activity(folder) is None and (folder / ORDER_FILE).exists():
        LOOKS.start(folder)
    if (activity := LOOKS.activity(folder)) is not None:
        done, total = _progress(folder) if activity == "computing" else (0, 0)
        return plan.standing(activity, done=done, total=total)
    # It may have ended since the first question.
    if (found := _read(folder)) is not None:
        return plan.standing("ready", found=found)
    failure = _failure(folder)
    return plan.standing("failed", failure=failure) if failure else plan.standing("none")


def look(session: Session, services: Services, run_id: str, checkpoint_id: str | None) -> Standing:
    """Look inside a checkpoint, in the background, unless that is done or under way.

    Raises:
        RunNotFound, CheckpointNotFound, NoResultsYet
    """
    with _starting:
        standing = inside_of(session, services, run_id, checkpoint_id)
        if standing.status not in ("none", "failed"):
            return standing
        plan = _plan(session, services, run_id, checkpoint_id)
        # What was found by another version of the program is of no use any more.
        shutil.rmtree(plan.folder.parent, ignore_errors=True)
        plan.folder.mkdir(parents=True)
        write_file(plan.folder / ORDER_FILE, _ORDER.dump_json(_order(session, services, plan)))
        LOOKS.start(plan.folder)
    return inside_of(session, services, run_id, checkpoint_id)


def stop(session: Session, services: Services, run_id: str, checkpoint_id: str | None) -> Standing:
    """End what is under way.

    Raises:
        RunNotFound, CheckpointNotFound, NoResultsYet
    """
    LOOKS.cancel(_plan(session, services, run_id, checkpoint_id).folder)
    return inside_of(session, services, run_id, checkpoint_id)


def picture_file(session: Session, storage: Storage, run_id: str, key: str, checkpoint_id: str, name: str) -> Path:
    """A picture of filters or patches.

    Raises:
        RunNotFound, CheckpointNotFound, InsidePictureMissing
    """
    row = find_checkpoint(session, results_of(session, RunId(run_id), CheckpointId(checkpoint_id)).checkpoint_id)
    found = _folder(storage, row, key) / name
    if not _FILE_NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{32}", key) or not found.is_file():
        raise InsidePictureMissing
    return found


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is looked at, found in a few statements. ``weights``: as in the order."""

    run: RunRow
    checkpoint: CheckpointRow
    weights: str | None
    was_frozen: bool
    key: str
    folder: Path

    def standing(
        self, status: Status, *, done: int = 0, total: int = 0, found: Inside | None = None, failure: str = ""
    ) -> Standing:
        """A standing of it."""
        ids = RunId(self.run.id), CheckpointId(self.checkpoint.id)
        return Standing(*ids, self.key, status, self.was_frozen, done, total, found, failure)


def _plan(session: Session, services: Services, run_id: str, checkpoint_id: str | None) -> _Plan:
    results = results_of(session, RunId(run_id), CheckpointId(checkpoint_id) if checkpoint_id else None)
    checkpoint = find_checkpoint(session, results.checkpoint_id)
    lineage = list(_lineage(session, checkpoint))
    # The network was pretrained before the first training of its lineage.
    first = lineage[-1][1]
    entry = first.entry
    at_hand = {one.name for one in entry.weights if is_available(one, services.settings.weights_folder)}
    weights = first.weights if first.weights in at_hand else None
    what = f"{checkpoint.id} {checkpoint.sha256} {lineage[0][0].version_id} {weights} {FORMAT}"
    key = hashlib.sha256(what.encode()).hexdigest()[:32]
    was_frozen = all(stage.freeze for _, config, stages in lineage for stage in config.stages[:stages])
    run = lineage[0][0]
    return _Plan(run, checkpoint, weights, was_frozen, key, _folder(services.storage, checkpoint, key))


def _lineage(session: Session, checkpoint: CheckpointRow) -> Iterator[tuple[RunRow, TrainingConfig, int]]:
    """The trainings that led to a checkpoint, the last first, each with the number of its stages that did."""
    while True:
        run = find_run(session, checkpoint.run_id)
        yield run, TrainingConfig.model_validate(run.config), checkpoint.stage + 1
        try:
            checkpoint = find_checkpoint(session, run.starts_from or "")
        except CheckpointNotFound:
            # It began with the pretrained weights, or the training that it went on from was deleted.
            return


def _folder(storage: Storage, checkpoint: CheckpointRow, key: str) -> Path:
    return storage.folder(KIND, checkpoint.folder) / key


def _order(session: Session, services: Services, plan: _Plan) -> InsideOrder:
    images = manifest(session, plan.run.version_id).images
    # A manifest is ordered by digest, so every n-th is as good as chance.
    some = images[:: 1 + (len(images) - 1) // MOST_IMAGES]
    return InsideOrder(
        checkpoint=checkpoint_folder(services.storage, plan.checkpoint),
        weights=plan.weights,
        weights_folder=services.settings.weights_folder,
        storage=services.settings.storage_folder,
        images=tuple(SampleImage(image.id, image.digest, image.label) for image in some),
        folder=plan.folder,
    )


def _read(folder: Path) -> Inside | None:
    try:
        return _INSIDE.validate_json((folder / RESULT_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _progress(folder: Path) -> tuple[int, int]:
    try:
        found = json.loads((folder / PROGRESS_FILE).read_bytes())
        return int(found["done"]), int(found["total"])
    except (OSError, ValueError, KeyError):
        return 0, 0


def _failure(folder: Path) -> str:
    try:
        found = json.loads((folder / FAILURE_FILE).read_bytes())
        return f"{found['message']} {found['advice']}"
    except (OSError, ValueError, KeyError):
        return ""
