from pathlib import Path

import numpy as np
import pytest

from backend.datasets.examine.embeddings import Embeddings, write_embeddings
from backend.datasets.examine.first_guess import FirstGuess, guessed
from backend.domain.json import Json
from backend.domain.manifest import Split
from backend.tables.examination import ExaminationRow
from tests.backend.datasets.conftest import Ana

FOLDERS = {"kind": "folder", "level": 1}


def test_it_is_judged_on_the_held_out_pictures() -> None:
    values = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], np.float32)
    embeddings = Embeddings(("a1", "b1", "a2", "b2", "b3"), values)
    images = [
        ("a1", "a", Split.TRAIN),
        ("b1", "b", Split.TRAIN),
        ("a2", "a", Split.VALID),
        ("b2", "b", Split.VALID),
        ("b3", "b", Split.VALID),
        ("not examined", "b", Split.VALID),
    ]

    assert guessed(embeddings, images) == FirstGuess(images=3, errors=1, learnt_from=2)


def test_a_class_without_pictures_to_learn_from_is_always_wrong() -> None:
    embeddings = Embeddings(("a1", "b1", "c1"), np.eye(3, dtype=np.float32))
    images = [("a1", "a", Split.TRAIN), ("b1", "b", Split.TRAIN), ("c1", "c", Split.VALID)]

    assert guessed(embeddings, images) == FirstGuess(images=1, errors=1, learnt_from=2)


@pytest.mark.parametrize(
    "images",
    [
        [("a1", "a", Split.TRAIN), ("a2", "a", Split.VALID)],
        [("a1", "a", Split.TRAIN), ("b1", "b", Split.TRAIN)],
    ],
    ids=["one class", "nothing held out"],
)
def test_there_is_none_where_there_is_nothing_to_tell_apart(images: list[tuple[str, str, Split]]) -> None:
    embeddings = Embeddings(("a1", "a2", "b1"), np.eye(3, dtype=np.float32))

    assert guessed(embeddings, images) is None


def test_it_is_said_by_rest_once_the_pictures_were_looked_at(ana: Ana) -> None:
    ana.bring_shapes(5)
    version = ana.freeze(FOLDERS)
    assert _asked(ana, version) == {"status": "waiting", "examined": 0.0}

    _examine(ana)

    found = _asked(ana, version)
    assert (found["status"], found["examined"], found["accuracy"]) == ("ready", 1.0, 1.0)
    assert (found["images"], found["learnt_from"]) == (3, 12)
    low, high = found["accuracy_interval"]
    assert (round(low, 2), high) == (0.44, 1.0)
    page = ana.client.get(f"/versions/{version['id']}/first-guess").text
    assert "<b>First guess:</b> 100 % right (likely 44 to 100 %)" in page


def _asked(ana: Ana, version: Json) -> Json:
    answer = ana.client.get(f"/api/v1/versions/{version['id']}/first-guess")
    assert answer.status_code == 200
    return {name: value for name, value in answer.json().items() if value is not None}


def _examine(ana: Ana) -> None:
    """As the worker would: each shape's pictures are alike."""
    images = ana.images("limit=100")
    kinds = ["circle", "cross", "square"]
    values = np.array([np.eye(3)[kinds.index(image["path"].split("/")[-2])] for image in images], np.float32)
    folder: Path = ana.services.settings.features_folder
    write_embeddings(folder, ana.dataset_id, Embeddings(tuple(image["id"] for image in images), values))
    with ana.services.database.write() as session:
        row = session.get_one(ExaminationRow, ana.dataset_id)
        row.images_done = row.images_total = len(images)
