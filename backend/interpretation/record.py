"""Keep what a checkpoint answered on the images that it had not learnt from."""

from collections.abc import Iterator, Sequence
from typing import Any

from backend.db.session import WriteSession
from backend.domain.ids import CheckpointId
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.interpretation.repository import PredictionRepository


def record_predictions(
    session: WriteSession, checkpoint_id: CheckpointId, evaluation: Evaluation, split: Split = Split.VALID
) -> None:
    """Keep one row per image of ``evaluation``; safe to repeat, the last call wins."""
    repository = PredictionRepository(session)
    repository.forget(checkpoint_id, split)
    repository.add(list(_rows(checkpoint_id, evaluation, split)))


def _rows(
    checkpoint_id: CheckpointId, evaluation: Evaluation, split: Split
) -> Iterator[dict[str, Any]]:  # Any: column values
    predicted = evaluation.predicted
    for row, (image_id, loss) in enumerate(zip(evaluation.image_ids, evaluation.losses, strict=True)):
        actual, said = int(evaluation.targets[row]), int(predicted[row])
        probabilities: Sequence[Any] = evaluation.probabilities[row]  # Any: numpy float32
        yield {
            "checkpoint_id": checkpoint_id,
            "image_id": image_id,
            "split": split.value,
            "actual": evaluation.classes[actual],
            "predicted": evaluation.classes[said],
            "loss": float(loss),
            "probability_actual": float(probabilities[actual]),
            "probability_predicted": float(probabilities[said]),
        }
