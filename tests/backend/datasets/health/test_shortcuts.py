"""Shortcuts in made-up traits."""

import numpy as np

from backend.datasets.health.shortcuts import TRAITS, Columns, shortcuts

COUNT = 120
LABELS = ["cat", "dog", "owl"] * (COUNT // 3)


def columns(**given: Columns) -> dict[str, Columns]:
    """Traits that say nothing, but for those given."""
    random = np.random.default_rng(5)
    return {name: random.normal(size=COUNT) for trait in TRAITS for name in trait.columns} | given


def test_traits_that_say_nothing_are_no_shortcut() -> None:
    assert shortcuts(columns(), LABELS, range(COUNT)) == []


def test_a_class_from_another_camera_is_given_away_by_it() -> None:
    camera = np.array([1.0 if label == "owl" else 0.0 for label in LABELS])

    [found] = shortcuts(columns(camera=camera), LABELS, range(COUNT))

    assert (found.label, found.trait, found.accuracy) == ("owl", "the camera", 1.0)


def test_what_only_copies_share_is_no_shortcut() -> None:
    # Each tenth of the pictures is one picture ten times: a tree would remember each.
    groups = [at // 12 for at in range(COUNT)]
    labels = [("cat", "dog")[group % 2] for group in groups]
    width = np.array(groups, dtype=float)

    assert shortcuts(columns(width=width, height=width), labels, groups) == []
