"""Embeddings in a file of their own."""

from pathlib import Path

import numpy as np

from backend.datasets.examine.embeddings import Embeddings, read_embeddings, write_embeddings
from backend.domain.ids import new_id


def test_embeddings_come_back_with_rows_of_length_one(tmp_path: Path) -> None:
    ids = (new_id(), new_id())

    write_embeddings(tmp_path, "pets", Embeddings(ids, np.array([[0.6, 0.8], [1.0, 0.0]], dtype=np.float32)))

    found = read_embeddings(tmp_path, "pets")
    assert found is not None
    assert found.image_ids == ids
    np.testing.assert_allclose(found.values, [[0.6, 0.8], [1.0, 0.0]], atol=1e-3)


def test_no_file_and_a_damaged_one_are_no_embeddings(tmp_path: Path) -> None:
    assert read_embeddings(tmp_path, "pets") is None
    write_embeddings(tmp_path, "pets", Embeddings((new_id(),), np.ones((1, 4), dtype=np.float32)))
    file = tmp_path / "embeddings/pets.safetensors"
    file.write_bytes(file.read_bytes()[:-3])

    assert read_embeddings(tmp_path, "pets") is None


def test_images_without_an_embedding_get_zeros() -> None:
    embeddings = Embeddings(("a", "b"), np.array([[0.6, 0.8], [1.0, 0.0]], dtype=np.float32))

    np.testing.assert_allclose(embeddings.values_of(["b", "unknown", "a"]), [[1.0, 0.0], [0.0, 0.0], [0.6, 0.8]])
