"""What the page “Inside” says in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.domain.inside import Box, Comparison, Inside, Patch, Unit
from backend.prediction.inside.view import classes_words, comparison_words, rise_words, share, usually
from tests.fixtures.inside import write_found


@pytest.fixture
def found(tmp_path: Path) -> Inside:
    """Three blocks, whose activations changed by 3, 6 and 9 %."""
    return write_found(tmp_path, ["a", "b"])


def unit(*labels: str) -> Unit:
    return Unit(1, 0.5, None, tuple(Patch(str(n), label, Box(0, 0, 8, 8), 1.0) for n, label in enumerate(labels)), ())


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("cat",) * 9, "all 9 patches: cat"),
        (("cat",) * 3 + tuple("abcdef"), "3 of 9 patches: cat"),
        (("cat", "cat", *"abcdefg"), "patches of 8 classes"),
        (("cat", "dog"), "patches of 2 classes"),
        ((), ""),
    ],
)
def test_a_class_is_named_where_it_is_frequent(labels: tuple[str, ...], words: str) -> None:
    assert classes_words(unit(*labels)) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "0.0 %"), (0.0004, "under 0.1 %"), (0.0005, "0.1 %"), (0.085, "8.5 %"), (-1e-9, "0.0 %")]
)
def test_what_is_there_never_rounds_to_nothing(value: float, words: str) -> None:
    assert share(value) == words


def test_blocks_are_described_by_their_height(found: Inside) -> None:
    said = [
        usually(replace(found.blocks[0], number=number), 9).split(" usually")[0] for number in (1, 2, 4, 5, 7, 8, 9)
    ]

    assert said == [
        "The first layers of image networks",
        *["Early blocks"] * 2,
        *["Middle blocks"] * 2,
        *["The last blocks"] * 2,
    ]


def test_changes_are_named_with_their_extremes(found: Inside) -> None:
    assert comparison_words(found, was_frozen=False) == (
        "Training has changed these layers. "
        "Activations have changed most in block 3 (9.0 %) and least in block 1 (3.0 %)."
    )


def test_batch_norm_alone_is_named(found: Inside) -> None:
    words = comparison_words(replace(found, comparison=Comparison.BATCH_NORM), was_frozen=True)

    assert words.startswith("No filter has changed, as the pretrained layers were frozen. Their batch norm went on")


def test_the_reason_for_no_change_is_given_only_where_it_is_known(found: Inside) -> None:
    unchanged = replace(found, comparison=Comparison.UNCHANGED)

    assert "were frozen" in comparison_words(unchanged, was_frozen=True)
    assert "were frozen" not in comparison_words(unchanged, was_frozen=False)


def test_both_ends_are_compared(found: Inside) -> None:
    assert rise_words(found) == (
        "Classes explain 10.0 % of the differences in a typical unit's activation in block 1, and 30.0 % in block 3."
    )
