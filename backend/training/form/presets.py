"""The ways to train that the page offers: recipes, and presets of ours on top of them.

A preset is nothing that the API knows: it is posted as its recipe with the numbers
filled in. The page keeps its name, so that a touched one can be led back to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.domain.training import Recipe, StageRequest, TrainingConfig, TrainingRequest, resolve

A_HANDFUL: Final = 20
"""Fewer pictures than this: hardly any are tested, so that a longer training couldn't be told from a short one."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One way to train.

    Attributes:
        name: its value in the form; a recipe's own card has the recipe's.
        request: what it asks for where nothing is changed.
    """

    name: str
    title: str
    why: str
    request: TrainingRequest

    def config(self, architecture: str | None = None) -> TrainingConfig:
        """Every number of it; with another network, those that go with that."""
        changed = {"architecture": architecture, "weights": None} if architecture else {}
        return resolve(self.request.model_copy(update=changed))

    def stage(self, row: int, typed: Mapping[str, Any]) -> dict[str, Any]:  # Any: checked by pydantic
        """A stage as the form has it, with the card's own numbers for what was left empty."""
        own = (self.request.stages or ())[row : row + 1]
        if not own or str(typed.get("freeze", own[0].freeze)).lower() != str(own[0].freeze).lower():
            return dict(typed)
        return own[0].model_dump(exclude_none=True) | dict(typed)


RECOMMENDED: Final = Preset(
    Recipe.RECOMMENDED.value,
    "Recommended",
    "The quickest good answer, and all that most sets of pictures need.",
    TrainingRequest(recipe=Recipe.RECOMMENDED),
)
# Measured on one split of 740 pictures of 37 breeds: error 28 % at 128 px, 22 % at 160; Recommended has 17 %.
QUICK_LOOK: Final = Preset(
    "quick-look",
    "Quick look",
    "Only the last layers, on small copies: tells soon whether the idea works.",
    TrainingRequest(
        recipe=Recipe.RECOMMENDED, image_size=160, stages=(StageRequest(freeze=True, epochs=4, max_lr=3e-3),)
    ),
)
THOROUGH: Final = Preset(
    "thorough",
    "Thorough",
    "A larger model, larger pictures, more epochs, then every layer: for when it is to be as good as it gets.",
    TrainingRequest(
        recipe=Recipe.RECOMMENDED,
        architecture="resnet50",
        image_size=299,
        stages=(StageRequest(freeze=True, epochs=8), StageRequest(freeze=False, epochs=3)),
    ),
)
CUSTOM: Final = Preset(
    Recipe.CUSTOM.value,
    "Your own",
    "Plain numbers to begin with; set each of them yourself under Advanced.",
    TrainingRequest(recipe=Recipe.CUSTOM),
)
CARDS: Final = (
    RECOMMENDED,
    Preset(
        Recipe.LESSON_1.value,
        "The course, lesson 1",
        "Exactly as in the 2019 course, number for number.",
        TrainingRequest(recipe=Recipe.LESSON_1),
    ),
    QUICK_LOOK,
    THOROUGH,
    Preset(
        Recipe.FINE_TUNE.value,
        "Fine-tune",
        "fastai's fine_tune: the head for a moment, then everything at careful rates.",
        TrainingRequest(recipe=Recipe.FINE_TUNE),
    ),
    CUSTOM,
)
"""In the order in which the keys 1 to 5 choose them; the last is shown only where it is the present one."""
_BY_NAME: Final = {card.name: card for card in CARDS}


def card_named(name: str) -> Preset | None:
    """The card of that name; the recommended one for none, None for an unknown one."""
    return _BY_NAME.get(name or RECOMMENDED.name)


def card_like(config: TrainingConfig) -> Preset:
    """The card that stands for a config: the one that means just that, else its recipe's own."""
    return next((card for card in CARDS if card.config() == config), _BY_NAME[config.recipe.value])


def first_card(images: int) -> Preset:
    """The card that is chosen already on a version of so many pictures."""
    return QUICK_LOOK if images < A_HANDFUL else RECOMMENDED
