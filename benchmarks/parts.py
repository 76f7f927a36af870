"""What is compared: the parts of the benchmark, and the numbers of both sides."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from backend.domain.architectures import ARCHITECTURES
from backend.domain.json import Json
from backend.domain.training import Recipe, StageRequest, TrainingRequest

VALID: Final = 0.2
IMAGE_SIZE: Final = 224
BATCH_SIZE: Final = 64
FASTAI_ITEM_SIZE: Final = 460
"""fastai's first resize, on the processor; the batch is then cut to ``IMAGE_SIZE``."""

OURS, OURS_AGAIN, FASTAI, FASTAI_BEST = "ours", "ours_again", "fastai", "fastai_best"

OUR_FROZEN_STAGE: Final = StageRequest(freeze=True, epochs=4, max_lr=2e-3, train_batch_norm=False)
OUR_UNFROZEN_STAGE: Final = StageRequest(
    freeze=False, epochs=2, max_lr=(3e-5, 3e-4), train_batch_norm=False, views=2, frozen_blocks=6, keep_best=True
)
"""Our second stage of the lesson: the one that ``docs/speed.md`` found."""

FASTAI_FROZEN_STAGE: Final[dict[str, Json]] = {"freeze": True, "epochs": 4, "max_lr": 2e-3}
FASTAI_UNFROZEN_STAGE: Final[dict[str, Any]] = {"freeze": False, "epochs": 2, "max_lr": [1e-5, 1e-3]}


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison.

    Attributes:
        contenders: who runs; ``OURS`` runs twice, the second time with what the first left in its cache.
        our_stages, fastai_stages: as many epochs on both sides.
        is_beginning_of: the part whose fastai training begins with this one's.
    """

    name: str
    architecture: str
    contenders: tuple[str, ...]
    our_stages: tuple[StageRequest, ...]
    fastai_stages: tuple[dict[str, Any], ...]
    is_beginning_of: str = ""

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(int(stage["epochs"]) for stage in self.fastai_stages)

    def settings(self, contender: str) -> str:
        """Hash of the settings of that side's training: runs with other settings can't be compared with them."""
        ours = self.our_request(0).model_dump(mode="json")
        content = ours if contender in {OURS, OURS_AGAIN} else self.fastai_job(0)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def our_request(self, seed: int) -> TrainingRequest:
        """The request for our engine."""
        return TrainingRequest(
            architecture=self.architecture,
            image_size=IMAGE_SIZE,
            batch_size=BATCH_SIZE,
            seed=seed,
            recipe=Recipe.RECOMMENDED,
            stages=self.our_stages,
        )

    def fastai_job(self, seed: int) -> dict[str, Json]:
        """The job of fastai's process, without images and weights."""
        entry = ARCHITECTURES[self.architecture]
        return {
            "architecture": self.architecture,
            "mean": list(entry.mean),
            "std": list(entry.std),
            "item_size": FASTAI_ITEM_SIZE,
            "image_size": IMAGE_SIZE,
            "batch_size": BATCH_SIZE,
            "seed": seed,
            "stages": list(self.fastai_stages),
        }


PARTS: Final = {
    part.name: part
    for part in (
        Part(
            "frozen",
            "efficientnet-lite0",
            (OURS, FASTAI, FASTAI_BEST),
            (OUR_FROZEN_STAGE,),
            (FASTAI_FROZEN_STAGE,),
            is_beginning_of="lesson",
        ),
        Part(
            "lesson",
            "efficientnet-lite0",
            (OURS, FASTAI),
            (OUR_FROZEN_STAGE, OUR_UNFROZEN_STAGE),
            (FASTAI_FROZEN_STAGE, FASTAI_UNFROZEN_STAGE),
        ),
        Part("resnet34", "resnet34", (OURS, FASTAI), (OUR_FROZEN_STAGE,), (FASTAI_FROZEN_STAGE,)),
    )
}


_Contender = TypeVar("_Contender")


def in_turn(contenders: tuple[_Contender, ...], round_number: int) -> tuple[_Contender, ...]:
    """The order of one round; every second round is reversed, so that a machine that grows warm favours no side."""
    return contenders[::-1] if round_number % 2 else contenders
