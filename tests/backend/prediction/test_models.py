"""A few models are kept loaded."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from backend.prediction.models import Model, ModelCache, ModelMissing, ModelSource
from backend.training.model_files import ModelDamaged
from tests.backend.prediction.conftest import source_in, write_colour_model


def test_a_model_is_loaded_once(colour_model: ModelSource) -> None:
    cache = ModelCache()

    assert cache.model(colour_model) is cache.model(colour_model)


def test_threads_that_ask_at_the_same_time_share_one_load(colour_model: ModelSource) -> None:
    cache = ModelCache()
    together = threading.Barrier(8)

    def ask() -> Model:
        together.wait()
        return cache.model(colour_model)

    with ThreadPoolExecutor(8) as pool:
        found = {id(model) for model in pool.map(lambda _: ask(), range(8))}

    assert len(found) == 1


def test_the_model_not_used_for_the_longest_time_is_dropped(colour_model: ModelSource) -> None:
    cache = ModelCache(capacity=2)
    a, b, c = (source_in(colour_model.folder, name * 32) for name in "abc")
    first_a, first_b = cache.model(a), cache.model(b)
    cache.model(a)

    cache.model(c)

    assert cache.model(a) is first_a
    assert cache.model(b) is not first_b


def with_hash(source: ModelSource) -> ModelSource:
    """As the engine writes it: with the hash of the file beside it."""
    digest = hashlib.sha256((source.folder / "model.onnx").read_bytes()).hexdigest()
    (source.folder / "checkpoint.json").write_text(json.dumps({"onnx_sha256": digest}))
    return source


def test_a_model_whose_file_is_as_it_was_written_is_loaded(colour_model: ModelSource) -> None:
    assert ModelCache().model(with_hash(colour_model))


def test_a_model_with_one_wrong_bit_gives_no_answers(colour_model: ModelSource) -> None:
    file = with_hash(colour_model).folder / "model.onnx"
    content = bytearray(file.read_bytes())
    content[content.index(np.float32(4).tobytes()) + 2] ^= 1  # a weight: 4.0 becomes 4.03
    file.write_bytes(content)

    with pytest.raises(ModelDamaged) as refusal:
        ModelCache().model(colour_model)

    assert (refusal.value.code, refusal.value.message) == (
        "model-damaged",
        "The file of this model is damaged, so its answers would be wrong.",
    )


def test_hashes_that_cant_be_read_are_damage_too(colour_model: ModelSource) -> None:
    (colour_model.folder / "checkpoint.json").write_text("{")

    with pytest.raises(ModelDamaged):
        ModelCache().model(colour_model)


def test_a_missing_file_is_said_in_words_and_tried_again_next_time(tmp_path: Path) -> None:
    cache = ModelCache()
    source = source_in(tmp_path / "colours")
    with pytest.raises(ModelMissing) as refusal:
        cache.model(source)
    assert refusal.value.details == {"checkpoint_id": "c" * 32}

    write_colour_model(source.folder)

    assert cache.model(source)
