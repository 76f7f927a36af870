"""A head trained again with other seeds, on features that are kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.domain.events import EpochFinished, Phase, PhaseStarted
from tests.fixtures.engine import Listener, StopNow, frozen, order_in, plain_config, tiny_registered, unfrozen
from worker.engine.order import NeverStop, Stopped, TrainingOrder
from worker.engine.recipe import train
from worker.engine.retrained_heads import FeaturesGone, retrained_heads


@pytest.fixture
def order(tmp_path: Path) -> Iterator[TrainingOrder]:
    """A training of three epochs whose features are kept in a folder."""
    with tiny_registered(tmp_path / "weights"):
        config = plain_config(frozen(3, views=0, train_batch_norm=False), seed=1)
        found = order_in(tmp_path, tmp_path / "weights", config, features_folder=tmp_path / "features")
        found.state_folder.mkdir()
        yield found


def test_a_seed_gives_what_a_training_with_that_seed_gives(order: TrainingOrder) -> None:
    last = Listener()
    seeded = replace(order, config=order.config.model_copy(update={"seed": 7}))
    train(seeded, on_event=last)

    (answered,) = retrained_heads(order, [7], on_event=Listener(), stop=NeverStop())

    assert answered.errors / 6 == last.of(EpochFinished)[-1].error_rate
    assert float(answered.losses.mean()) == pytest.approx(last.of(EpochFinished)[-1].valid_loss, abs=1e-6)


def test_other_seeds_give_other_answers_to_the_same_pictures(order: TrainingOrder) -> None:
    first, second = retrained_heads(order, [1, 2], on_event=Listener(), stop=NeverStop())

    assert first.image_ids == second.image_ids
    assert len(first.image_ids) == 6
    assert not np.array_equal(first.probabilities, second.probabilities)


def test_where_features_are_kept_no_picture_is_opened(order: TrainingOrder) -> None:
    train(order, on_event=Listener())

    def refuse(digest: str) -> bytes:
        raise AssertionError(digest)

    listener = Listener()
    list(retrained_heads(replace(order, open_bytes=refuse), [1, 2, 3], on_event=listener, stop=NeverStop()))

    assert Phase.FEATURES not in [event.phase for event in listener.of(PhaseStarted)]
    assert len(listener.of(EpochFinished)) == 9


def test_a_run_that_trains_all_layers_has_its_head_trained_on_the_first_features(order: TrainingOrder) -> None:
    whole = replace(order, config=plain_config(unfrozen(1), seed=1))

    (answered,) = retrained_heads(whole, [1], on_event=(listener := Listener()), stop=NeverStop())

    assert len(answered.image_ids) == 6
    assert len(listener.of(EpochFinished)) == 10


def test_features_of_too_many_pictures_that_are_gone_are_not_computed(order: TrainingOrder) -> None:
    with pytest.raises(FeaturesGone) as refusal:
        list(retrained_heads(order, [1], on_event=Listener(), stop=NeverStop(), most_computed=23))

    assert (refusal.value.code, refusal.value.details) == ("features-gone", {"missing": 24})


def test_it_stops_when_it_is_asked_to(order: TrainingOrder) -> None:
    with pytest.raises(Stopped):
        list(retrained_heads(order, [1], on_event=Listener(), stop=StopNow()))
