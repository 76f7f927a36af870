from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.domain.events import EpochFinished, Phase, PhaseStarted
from backend.domain.ids import Digest
from tests.fixtures.engine import Bytes, Listener, StopNow, frozen, order_in, tiny_config, unfrozen
from worker.engine.embedding import Embedder
from worker.engine.order import NeverStop, Stopped, TrainingOrder
from worker.engine.recipe import train

pytestmark = pytest.mark.usefixtures("tiny")


def _order(folder: Path, weights_folder: Path) -> TrainingOrder:
    config = tiny_config(frozen(2, views=0))
    return order_in(folder, weights_folder, config, features_folder=folder / "features")


def _opened(order: TrainingOrder) -> Bytes:
    assert isinstance(order.open_bytes, Bytes)
    return order.open_bytes


def test_it_computes_only_what_is_missing(tmp_path: Path, weights_folder: Path) -> None:
    order, seen = _order(tmp_path, weights_folder), list[int]()
    images = order.manifest.images
    embedder = Embedder(order, NeverStop())

    embedder.compute(images[:10], seen.append)

    assert seen[-1] == 10
    assert embedder.known() == {image.digest for image in images[:10]}
    assert Embedder(order, NeverStop()).known() == embedder.known()


def test_it_names_what_cannot_be_read(tmp_path: Path, weights_folder: Path) -> None:
    order = _order(tmp_path, weights_folder)
    images = order.manifest.images
    _opened(order).files[images[2].digest] = b"no picture"
    embedder = Embedder(order, NeverStop())

    unreadable = embedder.compute(images, lambda _done: None)

    assert [one.image for one in unreadable] == [images[2]]
    assert images[2].digest not in embedder.known()
    assert len(embedder.known()) == 23


def test_a_stop_keeps_what_was_computed(tmp_path: Path, weights_folder: Path) -> None:
    order = _order(tmp_path, weights_folder)

    with pytest.raises(Stopped):
        Embedder(order, StopNow()).compute(order.manifest.images, lambda _done: None)

    assert len(Embedder(order, NeverStop()).known()) == 1


def test_equal_pictures_have_equal_embeddings_of_length_one(tmp_path: Path, weights_folder: Path) -> None:
    order = _order(tmp_path, weights_folder)
    first, second, third = (image.digest for image in order.manifest.images[:3])
    _opened(order).files[second] = _opened(order).files[first]
    embedder = Embedder(order, NeverStop())
    embedder.compute(order.manifest.images, lambda _done: None)

    kept = embedder.embeddings([first, second, third, Digest("0" * 64)])

    assert kept.digests == (first, second, third)
    assert np.allclose(np.linalg.norm(kept.embeddings, axis=1), 1, atol=1e-5)
    alike = kept.embeddings @ kept.embeddings[0]
    assert alike[1] == pytest.approx(1, abs=1e-5)
    assert alike[2] < 0.99
    assert list((tmp_path / "features").glob(f"{kept.group}/*.shard"))


def test_a_frozen_training_after_it_opens_only_the_pictures_of_the_export(tmp_path: Path, weights_folder: Path) -> None:
    order, opened = _order(tmp_path, weights_folder), list[Digest]()
    Embedder(order, NeverStop()).compute(order.manifest.images, lambda _done: None)
    files = _opened(order)

    def note(digest: Digest) -> bytes:
        opened.append(digest)
        return files(digest)

    train(replace(order, open_bytes=note), on_event=Listener())

    # The six held out: at most sixteen of those are compared with the exported model.
    assert len(opened) == 6


def test_pictures_of_a_later_stage_are_read_when_that_begins(tmp_path: Path, weights_folder: Path) -> None:
    config = tiny_config(frozen(2, views=0), unfrozen(1, image_size=48))
    order = order_in(tmp_path, weights_folder, config, features_folder=tmp_path / "features")
    Embedder(order, NeverStop()).compute(order.manifest.images, lambda _done: None)
    listener = Listener()

    train(order, on_event=listener)

    read = [event for event in listener.of(PhaseStarted) if event.phase is Phase.DATA]
    assert [event.text for event in read] == ["Reading 24 images"]
    last_of_head = listener.of(EpochFinished)[1]
    assert listener.events.index(last_of_head) < listener.events.index(read[0])


def test_a_frozen_training_after_it_gives_the_same_as_without(tmp_path: Path, weights_folder: Path) -> None:
    alone = train(order_in(tmp_path / "a", weights_folder, tiny_config(frozen(2, views=0))), on_event=Listener())
    order = _order(tmp_path / "b", weights_folder)
    Embedder(order, NeverStop()).compute(order.manifest.images, lambda _done: None)

    after = train(order, on_event=Listener())

    assert after.best.valid_loss == pytest.approx(alone.best.valid_loss, abs=1e-6)
