"""The ways to train that the page offers: recipes, and presets of ours on top of them.

A preset is nothing that the API knows: it is posted as its recipe with the numbers
filled in. The page keeps its name, so that a changed one can be led back to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from backend.domain.training import Recipe, StageRequest, TrainingConfig, TrainingRequest, resolve

A_HANDFUL: Final = 20
"""Fewer pictures than this: hardly any are tested, so no difference between trainings could be seen."""


class Quality(IntEnum):
    """How good a model a preset usually gives, against the other presets; the order rests on ``docs/recipes.md``."""

    ROUGH = 1
    FAIR = 2
    GOOD = 3
    BEST = 4

    @property
    def word(self) -> str:
        """For the page."""
        return {1: "rough", 2: "fair", 3: "good", 4: "highest"}[self]


@dataclass(frozen=True, slots=True)
class Preset:
    """One way to train.

    Attributes:
        name: its value in the form; a recipe's own preset has the recipe's.
        request: what it asks for where nothing is changed.
        quality: None where that depends on what is filled in.
    """

    name: str
    title: str
    why: str
    request: TrainingRequest
    quality: Quality | None

    def config(self, architecture: str | None = None) -> TrainingConfig:
        """Every number of it; with another network, those that go with that."""
        changed = {"architecture": architecture, "weights": None} if architecture else {}
        return resolve(self.request.model_copy(update=changed))

    @property
    def _stages(self) -> Sequence[StageRequest]:
        """Its own stages; those of a planned preset in full, since a row that is typed ends the planning."""
        if not self.request.is_planned:
            return self.request.stages or ()
        return [StageRequest.model_validate(stage.model_dump()) for stage in self.config().stages]

    def stage(self, row: int, typed: Mapping[str, Any]) -> dict[str, Any]:  # Any: checked by pydantic
        """A stage as the form has it, with the preset's own numbers for what was left empty."""
        own = self._stages[row : row + 1]
        if not own or str(typed.get("freeze", own[0].freeze)).lower() != str(own[0].freeze).lower():
            return dict(typed)
        return own[0].model_dump(exclude_none=True) | dict(typed)


RECOMMENDED: Final = Preset(
    Recipe.RECOMMENDED.value,
    "Recommended",
    "A first model within seconds, then all layers as far as the time allows. Keeps the better model.",
    TrainingRequest(recipe=Recipe.RECOMMENDED),
    Quality.GOOD,
)
# Measured on one split of 740 pictures of 37 breeds: error 28 % at 128 px, 22 % at 160; Recommended has 17 %.
QUICK_LOOK: Final = Preset(
    "quick-look",
    "Quick look",
    "Trains only the last layers, on smaller copies of the pictures. Shows soon whether the idea works.",
    TrainingRequest(
        recipe=Recipe.RECOMMENDED, image_size=160, stages=(StageRequest(freeze=True, epochs=4, max_lr=3e-3),)
    ),
    Quality.ROUGH,
)
THOROUGH: Final = Preset(
    "thorough",
    "Thorough",
    "A larger model on larger pictures for more epochs, then all layers. For the best result, if you can wait.",
    TrainingRequest(
        recipe=Recipe.RECOMMENDED,
        architecture="resnet50",
        image_size=299,
        stages=(StageRequest(freeze=True, epochs=8), StageRequest(freeze=False, epochs=3)),
    ),
    Quality.BEST,
)
CUSTOM: Final = Preset(
    Recipe.CUSTOM.value,
    "Your own",
    "Starts from plain settings; change any of them under Advanced.",
    TrainingRequest(recipe=Recipe.CUSTOM),
    None,
)
PRESETS: Final = (
    RECOMMENDED,
    Preset(
        Recipe.LESSON_1.value,
        "The course, lesson 1",
        "The same settings as in lesson 1 of the 2019 fast.ai course.",
        TrainingRequest(recipe=Recipe.LESSON_1),
        Quality.FAIR,
    ),
    QUICK_LOOK,
    THOROUGH,
    Preset(
        Recipe.FINE_TUNE.value,
        "Fine-tune",
        "As fastai's fine_tune: one epoch on the last layers, then all layers at low learning rates.",
        TrainingRequest(recipe=Recipe.FINE_TUNE),
        Quality.FAIR,
    ),
    CUSTOM,
)
_BY_NAME: Final = {preset.name: preset for preset in PRESETS}


def preset_named(name: str) -> Preset | None:
    """The preset of that name; the recommended one for none, None for an unknown one."""
    return _BY_NAME.get(name or RECOMMENDED.name)


def preset_like(config: TrainingConfig) -> Preset:
    """The preset that stands for a config: the one that means just that, else its recipe's own."""
    return next((preset for preset in PRESETS if preset.config() == config), _BY_NAME[config.recipe.value])


def first_preset(images: int) -> Preset:
    """The preset that is chosen at first on a version of so many pictures."""
    return QUICK_LOOK if images < A_HANDFUL else RECOMMENDED
