"""The stages of the recommended recipe follow from the time that there is."""

import pytest

from backend.domain.training import TrainingConfig, TrainingRequest, resolve
from backend.training.within_time import within_time

CONFIG = resolve(TrainingRequest())


def planned(minutes: float, images: int, *, picture_s: float = 0.01) -> list[tuple[int, int | None]]:
    """(epochs, picture size) of each stage, where showing a picture of 128 pixels takes so long."""

    def seconds_of(config: TrainingConfig) -> float:
        unfrozen = [stage for stage in config.stages if not stage.freeze]
        return 10 + sum(
            picture_s * images * stage.epochs * ((stage.image_size or 224) / 128) ** 2 for stage in unfrozen
        )

    config = within_time(CONFIG, minutes, images, seconds_of)
    assert config.minutes == minutes
    return [(stage.epochs, stage.image_size) for stage in config.stages]


@pytest.mark.parametrize(
    ("minutes", "second"),
    [(60, (60, 160)), (6, (60, 128)), (5, (36, 128)), (3, (20, 128)), (2, (20, 128)), (1.2, (12, 128))],
)
def test_the_more_time_there_is_the_more_is_trained(minutes: float, second: tuple[int, int]) -> None:
    assert planned(minutes, 500) == [(10, None), second]


def test_where_no_second_stage_ends_in_time_there_is_none() -> None:
    assert planned(0.5, 500) == [(10, None)]
    assert planned(10, 100_000) == [(10, None)]


def test_many_pictures_get_fewer_epochs_but_never_fewer_than_five() -> None:
    assert planned(60, 3_000) == [(10, None), (20, 160)]
    assert planned(60, 20_000) == [(10, None), (5, 160)]


def test_pictures_are_never_larger_than_asked_for() -> None:
    config = within_time(resolve(TrainingRequest(image_size=64)), 60, 500, lambda config: 1.0)

    assert [stage.image_size for stage in config.stages] == [None, 64]
