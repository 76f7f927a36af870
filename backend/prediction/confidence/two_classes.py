"""Two classes: what a threshold on one of them does with a model's validation pictures, and what that costs."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from backend.domain.confidence.costs import USUAL_PERCENT, Costs, Outcome, cheapest, outcomes
from backend.interpretation.service import Results
from backend.prediction.confidence.measured import measured_of
from backend.storage.base import Storage
from backend.training.confidence.chosen import chosen_of
from backend.training.find import checkpoint_folder, find_checkpoint


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """Which class is predicted from which probability on, in percent, and what its mistakes cost.

    ``class_name`` is the first class where it is none of the two.
    """

    class_name: str = ""
    percent: int = USUAL_PERCENT
    costs: Costs = Costs()


@dataclass(frozen=True, slots=True)
class TwoClasses:
    """What thresholds do with the validation pictures.

    Attributes:
        classes: both names, in the order of the model's outputs.
        chosen, other: the class that is predicted from the threshold on, and the one that is predicted below it.
        temperature: with which the probabilities are calibrated; None: they are as the network gives them.
        is_mixed: the answers were mixed from several views of each picture; new pictures get one view.
        by_percent: the outcome at each threshold from 0 to 100 %.
        shown, best: at the chosen threshold, and where the cost is lowest.
    """

    classes: tuple[str, ...]
    chosen: str
    other: str
    temperature: float | None
    is_mixed: bool
    costs: Costs
    by_percent: tuple[Outcome, ...]
    shown: Outcome
    best: Outcome

    @property
    def is_second(self) -> bool:
        """Whether the chosen class is not the first one, which is the usual."""
        return self.chosen != self.classes[0]

    @property
    def shown_cost(self) -> float:
        """The cost at the chosen threshold."""
        return self.shown.cost(self.costs)

    @property
    def best_cost(self) -> float:
        """The lowest cost."""
        return self.best.cost(self.costs)


def two_classes_of(session: Session, storage: Storage, results: Results, choice: ThresholdChoice) -> TwoClasses:
    """What a choice means, by the answers that were kept and the temperature in force.

    Raises:
        CheckpointNotFound, AnswersMissing
    """
    row = find_checkpoint(session, results.checkpoint_id)
    measured = measured_of(checkpoint_folder(storage, row), row.id, row.sha256)
    settings = chosen_of(session, row.id).settings
    index = measured.classes.index(choice.class_name) if choice.class_name in measured.classes else 0
    probabilities = np.asarray(settings.calibrated(measured.probabilities))[:, index]
    found = outcomes(probabilities, measured.targets == index)
    return TwoClasses(
        measured.classes,
        measured.classes[index],
        measured.classes[1 - index],
        settings.temperature,
        measured.is_mixed,
        choice.costs,
        found,
        found[choice.percent],
        cheapest(found, choice.costs),
    )
