"""How many answers the luck of training changes: the same training with other seeds, compared pair by pair.

Two models that differ by their seed alone disagree about some pictures ("churn" in the literature, arXiv:1911.11137).
A change between two runs says something about what was changed only where it is larger than that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

from backend.domain.results import Evaluation
from backend.domain.training import RunIf, Stage, TrainingConfig, usual_head_stage

TRAININGS: Final = 3
"""Their pairs are as many; each takes seconds."""

Disagreements = Mapping[str, Sequence[str]]
"""By image id, what each training answered, of the images about which they don't all say the same."""


@dataclass(frozen=True, slots=True)
class FlipsByChance:
    """Answers to ``images`` that became right or wrong between two trainings with other seeds, for each pair of them.

    Attributes:
        counts: in the order of the pairs; one or more.
    """

    images: int
    counts: tuple[int, ...]

    @property
    def lowest(self) -> int:
        """Of the pair that differs least."""
        return min(self.counts)

    @property
    def highest(self) -> int:
        """Of the pair that differs most."""
        return max(self.counts)

    @property
    def middle(self) -> float:
        """The median of all pairs."""
        return float(median(self.counts))

    def sentences(self, changed: int) -> str:
        """What that means where ``changed`` answers became right or wrong."""
        usual = f"{self.lowest:,} to {self.highest:,}" if self.lowest < self.highest else f"{self.lowest:,}"
        noun = "answer" if usual == "1" else "answers"
        if changed > self.highest:
            meaning = "More changed than by chance alone."
        elif changed < self.lowest:
            meaning = "Less changed than by chance alone."
        else:
            meaning = "That is no more than chance alone changes."
        return f"Chance alone changes {usual} {noun} of {self.images:,} here; {changed:,} changed. {meaning}"


def head_alone(config: TrainingConfig, seed: int) -> TrainingConfig:
    """The training of a run's head alone with another seed, on the features of the plain view of each picture.

    Its stage is the first of the run in which only the head learns, else the usual one.
    """
    own = next((stage for stage in config.stages if stage.freeze), None) or usual_head_stage()
    changes = {
        "train_batch_norm": False,
        "views": 0,
        "run_if": RunIf.ALWAYS,
        "stop_if_worse": False,
        "max_lr": usual_head_stage().max_lr if own.max_lr == "find" else own.max_lr,
    }
    stage = Stage.model_validate({**own.model_dump(), **changes})
    return config.model_copy(update={"stages": (stage,), "seed": seed, "minutes": None, "test_time_views": 0})


def is_trained_so(config: TrainingConfig, stage: int) -> bool:
    """Whether a run's model after ``stage`` was trained as ``head_alone`` trains, but for the seed."""
    stages = config.stages[: stage + 1]
    return len(stages) == 1 and stages[0].features_are_constant and stages[0].sees_plain_view


def disagreements(trained: Sequence[Evaluation]) -> dict[str, list[str]]:
    """What the trainings answered to the images about which they don't agree; of those that all have answered."""
    answers = [
        dict(zip(one.image_ids, (one.classes[index] for index in one.predicted.tolist()), strict=True))
        for one in trained
    ]
    answered = sorted(set.intersection(*(set(one) for one in answers)))
    found = {image_id: [one[image_id] for one in answers] for image_id in answered}
    return {image_id: given for image_id, given in found.items() if len(set(given)) > 1}


def flips_by_chance(
    disagreeing: Disagreements, labels: Mapping[str, str], trainings: int, names: Mapping[str, str] | None = None
) -> FlipsByChance:
    """Count the answers that are right in one training and wrong in the other, for each pair.

    Images that aren't among ``labels`` don't count.

    Args:
        labels: by image id, of the images that are compared.
        trainings: how many there were, 2 or more.
        names: classes that have another name in ``labels`` than when the answers were given.
    """
    renamed = names or {}
    rights = [
        [renamed.get(answer, answer) == labels[image_id] for answer in given]
        for image_id, given in disagreeing.items()
        if image_id in labels
    ]
    return FlipsByChance(len(labels), _counts(rights, trainings))


def _counts(rights: Collection[Sequence[bool]], trainings: int) -> tuple[int, ...]:
    pairs = combinations(range(trainings), 2)
    return tuple(sum(right[first] != right[second] for right in rights) for first, second in pairs)
