from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from backend.domain.json import Json
from benchmarks.linear_heads import KINDS, LinearHead, View, draw, title


def test_a_linear_head_learns_digits_and_chooses_its_penalty() -> None:
    pixels, labels = load_digits(return_X_y=True)
    names = np.array([str(label) for label in labels])
    head = LinearHead(pixels[:600].astype(np.float32), names[:600])

    answers = head.classes[head.probabilities(pixels[600:].astype(np.float32)).argmax(axis=1)]

    assert float((answers != names[600:]).mean()) < 0.12
    assert head.penalty in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


def test_more_dimensions_than_images_are_no_obstacle() -> None:
    random = np.random.default_rng(1)
    labels = np.array(["a", "b"] * 15)
    features = random.normal(size=(30, 400)).astype(np.float32)
    features[:, 0] += np.where(labels == "a", 40.0, -40.0)

    head = LinearHead(features, labels)

    assert head.probabilities(features).shape == (30, 2)
    assert list(head.classes[head.probabilities(features).argmax(axis=1)]) == list(labels)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (KINDS[0], "EfficientNet-Lite0 at 224"),
        (KINDS[2], "EfficientNet-Lite0 at 224 and EfficientNet-Lite0 at 256"),
        ((View("efficientnet-lite0", 224, has_own_norms=True),), "EfficientNet-Lite0 at 224, batch norm of the set"),
    ],
)
def test_features_are_named_by_network_and_size(kind: tuple[View, ...], words: str) -> None:
    assert title(kind) == words


def test_the_table_has_a_row_for_each_head_and_a_column_for_each_set(tmp_path: Path) -> None:
    machine: dict[str, Json] = {
        "processor": "A processor",
        "cores": 2,
        "memory": 8 << 30,
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
    }
    rows: list[Json] = [
        {"set": "pets", "seed": 1, "features": "Lite0", "mirror": "", "penalty": 1.0, "test_error": 0.1},
        {"set": "pets", "seed": 2, "features": "Lite0", "mirror": "", "penalty": 1.0, "test_error": 0.2},
        {"set": "signs", "seed": 1, "features": "Lite0", "mirror": "", "penalty": 1.0, "test_error": 0.05},
        {"set": "signs", "seed": 2, "features": "Lite0", "mirror": "", "penalty": 1.0, "test_error": 0.05},
    ]

    lines = draw({"machine": machine, "rows": rows}).splitlines()

    assert lines[0] == "| features | pets | signs |"
    assert lines[2] == "| Lite0 | 15.0% (± 5.0) | 5.0% (± 0.0) |"
    assert "mean over seeds 1, 2" in lines[4]
