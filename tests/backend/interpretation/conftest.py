"""A trained run with six tried images of three classes, put into the tables by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from backend.db.session import Database, WriteSession
from backend.domain.ids import CheckpointId, RunId, new_id
from backend.domain.results import Evaluation
from backend.interpretation.record import record_predictions
from backend.tables.datasets import DatasetRow, ImageRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, RunRow

CLASSES = ("cat", "dog", "owl")
ONE_PAIR = ((0, 1),) * 6
"""(actual, predicted) of each image: cats that are all taken for dogs."""
SIX_PAIRS = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1))
"""Every class is taken for each of the others once."""


@dataclass(frozen=True, slots=True)
class TriedRun:
    """Ids of what was put into the tables; ``images`` in the order of ``EVALUATION``."""

    run_id: RunId
    checkpoint_id: CheckpointId
    images: tuple[str, ...]


def evaluation_of(images: tuple[str, ...]) -> Evaluation:
    """One cat, two cats taken for dogs, two dogs, one owl taken for a cat."""
    return Evaluation(
        classes=CLASSES,
        image_ids=images,
        probabilities=np.array(
            [
                [0.90, 0.05, 0.05],
                [0.20, 0.70, 0.10],
                [0.10, 0.80, 0.10],
                [0.30, 0.60, 0.10],
                [0.03, 0.95, 0.02],
                [0.90, 0.05, 0.05],
            ],
            dtype=np.float32,
        ),
        targets=np.array([0, 0, 0, 1, 1, 2], dtype=np.int64),
    )


def answer_with(
    database: Database, run: TriedRun, answers: Sequence[tuple[int, int]], sure: Sequence[float] = (0.8,) * 6
) -> None:
    """Other answers of the run: the actual and the predicted class of each image, and how sure the model was."""
    probabilities = np.zeros((len(answers), len(CLASSES)), dtype=np.float32)
    for row, ((_, predicted), share) in enumerate(zip(answers, sure, strict=True)):
        probabilities[row] = (1 - share) / 2
        probabilities[row, predicted] = share
    targets = np.array([actual for actual, _ in answers], dtype=np.int64)
    with database.write() as session:
        record_predictions(session, run.checkpoint_id, Evaluation(CLASSES, run.images, probabilities, targets))


def add_run(session: WriteSession) -> tuple[RunId, tuple[str, ...]]:
    """A run without a finished stage, on a version of a dataset of six images."""
    dataset = DatasetRow(id=new_id(), name="animals", images=6, bytes=6)
    session.add(dataset)
    session.flush()
    images = tuple(new_id() for _ in range(6))
    for place, image_id in enumerate(images):
        session.add(
            ImageRow(
                id=image_id,
                dataset_id=dataset.id,
                digest=f"{place:064x}",
                path=f"animals/{place}.png",
                format="PNG",
                width=32,
                height=32,
                bytes=1,
            )
        )
    version = VersionRow(
        id=new_id(),
        dataset_id=dataset.id,
        number=1,
        classes=list(CLASSES),
        counts={},
        rule={"kind": "folder", "level": 1},
        split={},
        overrides=[],
    )
    run_id = RunId(new_id())
    job = JobRow(id=new_id(), kind="train", subject_id=run_id, state="running")
    session.add_all([version, job])
    session.flush()
    session.add(RunRow(id=run_id, name="run 1", version_id=version.id, job_id=job.id, config={}))
    session.flush()
    return run_id, images


def add_checkpoint(
    session: WriteSession, run_id: RunId, stage: int = 0, error_rate: float = 0.2, loss: float = 0.5
) -> CheckpointId:
    """A finished stage of a run."""
    checkpoint_id = CheckpointId(new_id())
    session.add(
        CheckpointRow(
            id=checkpoint_id,
            run_id=run_id,
            stage=stage,
            epoch=3,
            architecture="efficientnet-lite0",
            classes=list(CLASSES),
            preprocessing={},
            metrics={"valid": {"error_rate": error_rate, "loss": loss}},
            parity={},
            folder=f"stage-{stage}",
            sha256="0" * 64,
            bytes=1,
        )
    )
    session.flush()
    return checkpoint_id


@pytest.fixture
def untried_run(database: Database) -> RunId:
    """A run whose first stage isn't finished."""
    with database.write() as session:
        return add_run(session)[0]


@pytest.fixture
def tried_run(database: Database) -> TriedRun:
    """A run with one finished stage and its answers."""
    with database.write() as session:
        run_id, images = add_run(session)
        checkpoint_id = add_checkpoint(session, run_id)
        record_predictions(session, checkpoint_id, evaluation_of(images))
    return TriedRun(run_id, checkpoint_id, images)


@pytest.fixture
def mixed_up_run(database: Database, tried_run: TriedRun) -> TriedRun:
    """Three cats taken for dogs, the last of them the worst; one dog taken for a cat; two owls known."""
    answers = ((0, 1), (0, 1), (0, 1), (1, 0), (2, 2), (2, 2))
    answer_with(database, tried_run, answers, (0.8, 0.7, 0.9, 0.8, 0.8, 0.8))
    return tried_run
