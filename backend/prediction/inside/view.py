"""What the page “Inside” says about blocks and units, in words."""

from collections import Counter
from typing import Final

from backend.domain.inside import Block, Comparison, Inside, Unit
from backend.templating import percent

_TINY: Final = 0.0005
_USUALLY: Final = (
    (0.0, "The first layers of image networks usually respond to edges, spots and plain colours."),
    (0.4, "Early blocks usually respond to corners, stripes and textures."),
    (0.75, "Middle blocks usually respond to patterns, and to parts of things such as an eye or a wheel."),
    (1.0, "The last blocks usually respond to large parts of things, and to whole things."),
)
"""Up to which share of the blocks, and what was found in many networks (Zeiler & Fergus, arXiv:1311.2901)."""


def usually(block: Block, blocks_total: int) -> str:
    """What is known of blocks at that height in other networks."""
    height = (block.number - 1) / max(1, blocks_total - 1)
    return next(words for most, words in _USUALLY if height <= most)


def share(value: float) -> str:
    """A share as ``8.5 %``; one that is there but rounds to nothing as ``under 0.1 %``."""
    return "under 0.1 %" if 0 < value < _TINY else percent(max(0.0, value))


def classes_words(unit: Unit) -> str:
    """Which class its patches are of, where one is frequent."""
    counts = Counter(patch.label for patch in unit.patches)
    if not counts:
        return ""
    (label, most), patches = counts.most_common(1)[0], len(unit.patches)
    if len(counts) == 1:
        return f"all {patches} patches: {label}"
    if 3 * most >= patches and most > 1:
        return f"{most} of {patches} patches: {label}"
    return f"patches of {len(counts)} classes"


def comparison_words(found: Inside, *, was_frozen: bool) -> str:
    """How the network differs from the pretrained one, and why."""
    match found.comparison:
        case Comparison.UNCHANGED if was_frozen:
            return (
                "Nothing has changed in these layers: every stage that led to this model trained only the last layers "
                "(the head), and the pretrained ones were frozen. So before and after are the same."
            )
        case Comparison.UNCHANGED:
            return "Nothing has changed in these layers: their weights are exactly the pretrained ones."
        case Comparison.UNAVAILABLE:
            return "The pretrained weights aren't on this server, so there is nothing to compare these layers with."
        case Comparison.BATCH_NORM:
            return (
                "No filter has changed, as the pretrained layers were frozen. Their batch norm went on learning, so "
                f"activations have changed. {_most_changed(found)}"
            )
        case Comparison.CHANGED:
            return f"Training has changed these layers. {_most_changed(found)}"


def rise_words(found: Inside) -> str:
    """How much classes explain at both ends."""
    first, last = found.blocks[0], found.blocks[-1]
    return (
        f"Classes explain {share(first.class_share)} of the differences in a typical unit's activation in block "
        f"{first.number}, and {share(last.class_share)} in block {last.number}."
    )


def _most_changed(found: Inside) -> str:
    changes = [(one.activation_change, one) for one in found.blocks if one.activation_change is not None]
    if not changes:
        return ""
    (most, block), (least, other) = (pick(changes, key=lambda pair: pair[0]) for pick in (max, min))
    return (
        f"Activations have changed most in block {block.number} ({share(most)}) and least in block {other.number} "
        f"({share(least)})."
    )
