import pytest

from backend.domain.training import Recipe, StageRequest, TrainingRequest, resolve
from backend.training.run_page.settings import settings_in_words

ONE_STAGE = (StageRequest(freeze=True, epochs=2),)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (TrainingRequest(recipe=Recipe.LESSON_1), "The course, lesson 1"),
        (TrainingRequest(recipe=Recipe.LESSON_1, seed=7), "your own, based on “The course, lesson 1”"),
        (TrainingRequest(recipe=Recipe.CUSTOM, stages=ONE_STAGE), "your own"),
    ],
)
def test_the_settings_say_on_which_preset_they_rest(request_: TrainingRequest, said: str) -> None:
    config = resolve(request_)

    (model, *_) = settings_in_words(config.model_dump(mode="json"), [None] * len(config.stages))

    assert model.rows[0] == ("Preset", said)
