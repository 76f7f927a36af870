"""Runs as they stand in the database, for pages that show them."""

from collections.abc import Iterable, Mapping

from backend.db.session import Database
from backend.domain.ids import VersionId, new_id
from backend.domain.training import Recipe, TrainingRequest, resolve
from backend.tables.datasets import ImageRow, VersionRow
from backend.tables.interpretation import PredictionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, EpochRow, RunRow

HOSTILE = "<img src=x onerror=alert(1)>"
PAGE = {"Accept": "text/html"}


def add_run(database: Database, version_id: str, state: str, starts_from: str | None = None, **job: object) -> str:
    """A run of the course's recipe in some state."""
    run_id = new_id()
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1)).model_dump(mode="json")
    with database.write() as session:
        session.add(JobRow(id=new_id(), kind="train", subject_id=run_id, state=state, **job))
        session.flush()
        (job_id,) = session.query(JobRow.id).filter_by(subject_id=run_id).one()
        row = RunRow(
            id=run_id, name="run 1", version_id=version_id, job_id=job_id, config=config, starts_from=starts_from
        )
        session.add(row)
    return run_id


def add_epoch(database: Database, run_id: str, stage: int, epoch: int, valid_loss: float, error_rate: float) -> None:
    """One row of the table."""
    with database.write() as session:
        session.add(
            EpochRow(
                id=new_id(),
                run_id=run_id,
                stage=stage,
                epoch=epoch,
                train_loss=1.386742 / (epoch + 1),
                valid_loss=valid_loss,
                error_rate=error_rate,
                accuracy=1 - error_rate,
                learning_rate=0.003,
                duration_s=52.4,
                attempt=1,
            )  # fmt: skip
        )


def add_checkpoint(database: Database, run_id: str, stage: int, errors: int) -> str:
    """A finished stage that got ``errors`` of 100 pictures wrong."""
    checkpoint_id = new_id()
    metrics = {"valid": {"images": 100, "errors": errors, "error_rate": errors / 100, "loss": 0.3}}
    with database.write() as session:
        session.add(
            CheckpointRow(
                id=checkpoint_id,
                run_id=run_id,
                stage=stage,
                epoch=3,
                architecture="resnet34",
                classes=["cat", HOSTILE],
                preprocessing={},
                metrics=metrics,
                parity={"images": 64, "agreement": 1.0, "max_difference": 1e-6},
                folder=checkpoint_id,
                sha256="0" * 64,
                bytes=1,
            )  # fmt: skip
        )
    return checkpoint_id


def answer_wrongly(database: Database, version_id: VersionId, wrong: Mapping[str, Iterable[int]]) -> None:
    """What checkpoints said of the same 100 pictures; ``wrong`` names the mistaken ones by number."""
    with database.write() as session:
        dataset_id = session.get_one(VersionRow, version_id).dataset_id
        images = [
            ImageRow(
                id=new_id(), dataset_id=dataset_id, path=f"{n}.png", digest=f"{n:064x}", width=9, height=9, bytes=9,
                format="PNG",
            )
            for n in range(100)
        ]  # fmt: skip
        session.add_all(images)
        session.flush()
        for checkpoint_id, mistakes in wrong.items():
            for n, image in enumerate(images):
                session.add(
                    PredictionRow(
                        checkpoint_id=checkpoint_id,
                        image_id=image.id,
                        split="valid",
                        actual="cat",
                        predicted=HOSTILE if n in set(mistakes) else "cat",
                        loss=0.1,
                        probability_actual=0.9,
                        probability_predicted=0.9,
                    )
                )
