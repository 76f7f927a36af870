"""Every number of a training as a field of the train form: its label, what it does in one sentence, its choices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.domain.training import LearningRate
from backend.fields.accepted import accepted

Options = tuple[tuple[str, str], ...]
_YES_NO: Final[Options] = (("true", "yes"), ("false", "no"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field; an empty one takes the preset's value.

    Attributes:
        unit: of the number, beside the label.
        options: (value, words) of a choice; empty for a number that is typed.
        is_whole: whether the number has no decimals; phones then show digits only.
        accepts: what can be typed, where that is said better than by the setting's type and bounds.
    """

    name: str
    label: str
    hint: str
    unit: str = ""
    options: Options = ()
    is_whole: bool = False
    accepts: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    title: str
    fields: tuple[Field, ...]


PRESET: Final = Field("recipe", "Way to train", "", accepts="one of the ways to train that are shown")
START: Final = Field("starts_from", "Starting model", "", accepts="one of the models in the list")
ARCHITECTURE: Final = Field(
    "architecture",
    "Model",
    "The structure of the network (its architecture). A larger one is slower and not always better.",
    accepts="one of the models in the list",
)
NETWORK: Final = Field(
    "network",
    "Any network that timm can build, by its name",
    "timm is a library of more than a thousand networks for pictures, such as convnext_tiny.in12k_ft_in1k. Type a part "
    "of a name to see those that have it. The network is then used instead of the model in the list.",
    accepts="the name of a network of timm",
)
WEIGHTS: Final = Field(
    "weights",
    "Pretrained weights",
    "What the model has learned from a million other pictures before it is trained on yours.",
    accepts="one of the weights in the list",
)

MINUTES: Final = Field(
    "minutes",
    "Time limit",
    "The first model is ready early. The rest of the time goes into training all layers, as far as that fits in. "
    "On a computer that is busy with other things, fewer epochs fit.",
    unit="minutes",
    options=(("2", "2 minutes"), ("10", "10 minutes"), ("60", "1 hour")),
    accepts="a number of minutes up to 1440",
)

GROUPS: Final = (
    Group(
        "Pictures",
        (
            Field(
                "image_size",
                "Picture size",
                "Each picture is scaled to this many pixels a side. Larger shows more detail but takes longer.",
                unit="pixels",
                is_whole=True,
            ),
            Field(
                "crop_share",
                "Centre crop",
                "The part of each test picture that is used: a square in the middle, as a share of the short side. "
                "1 uses all of it.",
            ),
            Field(
                "class_balance",
                "Unequal classes",
                "What to do when some classes have far fewer pictures than others.",
                options=(
                    ("none", "change nothing"),
                    ("weighted-loss", "count mistakes on rare classes more"),
                    ("balanced-sampling", "use all classes equally often"),
                ),
            ),
            Field(
                "test_time_views",
                "Test-time augmentation",
                "Each test picture is also evaluated in this many randomly changed copies, and the answers are "
                "averaged. 0 is off.",
                is_whole=True,
            ),
        ),
    ),
    Group(
        "Optimizer",
        (
            Field(
                "batch_size",
                "Batch size",
                "The number of pictures between two corrections of the model. A larger batch needs more memory.",
                is_whole=True,
            ),
            Field(
                "weight_decay",
                "Weight decay",
                "Pulls the model's weights slightly towards zero, so that it doesn't memorise the training pictures.",
            ),
            Field(
                "label_smoothing",
                "Label smoothing",
                "Treats every label as a little uncertain, so that the model doesn't become overconfident. 0 is off.",
            ),
            Field(
                "seed",
                "Seed",
                "Fixes all random choices. Training again with the same seed gives nearly the same result.",
                is_whole=True,
            ),
            Field(
                "decay_batch_norm",
                "Weight decay on batch norm",
                "Whether weight decay also applies to batch norm and biases, as in the 2019 course.",
                options=_YES_NO,
            ),
            Field(
                "last_layer_bias",
                "Bias in the last layer",
                "Whether the last layer adds a constant for each class, as in the 2019 course.",
                options=_YES_NO,
            ),
            Field(
                "adam_beta",
                "Adam beta2",
                "How long the optimizer (Adam) averages the size of the gradients. Nearly always 0.99.",
            ),
            Field(
                "adam_epsilon",
                "Adam epsilon",
                "A small number that keeps the optimizer's steps from becoming too large. Leave it as it is.",
            ),
        ),
    ),
    Group(
        "Hardware",
        (
            Field(
                "device",
                "Runs on",
                "A graphics card is many times faster. “auto” uses one if a worker has it.",
                options=(("auto", "auto"), ("cpu", "the processor"), ("cuda", "a graphics card")),
            ),
            Field(
                "devices",
                "Devices",
                "How many devices of one computer may share the work, where they are idle. “auto” uses all graphics "
                "cards if the training takes minutes.",
                options=(("auto", "auto"), ("1", "one"), ("2", "up to 2"), ("4", "up to 4"), ("8", "up to 8")),
            ),
            Field(
                "precision",
                "Precision",
                "The number format. “auto” chooses by the hardware; 16 bits save memory and, on some, time.",
                options=(
                    ("auto", "auto"),
                    ("float32", "32 bits"),
                    ("bfloat16", "16 bits (bfloat16)"),
                    ("float16", "16 bits (float16)"),
                ),
            ),
        ),
    ),
)

BESIDE_STAGES: Final = (GROUPS[0], GROUPS[2])
"""Groups in the column of the stages; the others stand in the other column."""

STAGE_HEAD: Final = (
    Field(
        "freeze",
        "Layers to train",
        "The last layers choose the class and are new. The layers before them already know pictures in general; "
        "training them too can help, and takes longer.",
        options=(("true", "the last layers (frozen)"), ("false", "all layers (unfrozen)")),
    ),
    Field(
        "epochs",
        "Epochs",
        "Passes over all training pictures. More help at first; too many make the model memorise them.",
        is_whole=True,
    ),
    Field(
        "low",
        "Rate, first layers",
        "Learning rate of the first layers in a stage that trains all layers. Layers in between get rates in between.",
        accepts=accepted(LearningRate),
    ),
    Field(
        "high",
        "Rate, last layers",
        "Learning rate: the size of each correction. Too small is slow, too large doesn't settle. "
        "The word “find” searches for a good one.",
        accepts=f"{accepted(LearningRate)}, or the word “find”",
    ),
)
STAGE_MORE: Final = (
    Field(
        "bn",
        "Batch norm of frozen layers",
        "Whether the batch norm in frozen layers is trained. Keeping it fixed is faster, and better on few pictures.",
        options=(("true", "is trained"), ("false", "stays fixed")),
    ),
    Field("warmup", "Warm-up", "Share of the stage during which the rate rises to its highest, such as 0.25."),
    Field("start_div", "Start divisor", "The first rate is the highest rate divided by this number."),
    Field("final_div", "End divisor", "The last rate is the highest rate divided by this number."),
    Field(
        "momentum_high",
        "Highest momentum",
        "How much of the previous correction is added to the next one while the rate is low, such as 0.95.",
    ),
    Field("momentum_low", "Lowest momentum", "The same while the rate is highest, such as 0.85."),
    Field(
        "views",
        "Views of each picture",
        "The number of randomly changed copies of each picture whose features are computed and reused.",
        is_whole=True,
    ),
    Field(
        "frozen_blocks",
        "First blocks kept frozen",
        "The number of blocks at the start of the network that stay fixed in a stage that trains all layers. Faster.",
        is_whole=True,
    ),
    Field(
        "image_size",
        "Picture size in this stage",
        "Smaller pictures in early stages save time. Empty uses the size of the whole training.",
        unit="pixels",
        is_whole=True,
    ),
    Field(
        "keep_best",
        "Keep the best epoch",
        "Whether the stage ends with the model of its best epoch instead of the last.",
        options=_YES_NO,
    ),
    Field(
        "early_stopping",
        "Stop early after",
        "The stage ends after this many epochs without a better one. Empty never stops early.",
        unit="epochs",
        is_whole=True,
    ),
    Field(
        "stop_if_worse",
        "Give up where it doesn't help",
        "Ends the stage where, after a third or half of its epochs, it is still far behind the model before it.",
        options=_YES_NO,
    ),
    Field(
        "run_if",
        "Run this stage",
        "Whether the stage is left out where the model before it already gets every test picture right.",
        options=(("always", "always"), ("mistakes", "only if mistakes remain")),
    ),
)
STAGE_FIELDS: Final = STAGE_HEAD + STAGE_MORE

CHANGES: Final = (
    Field(
        "flip",
        "Mirror left and right",
        "Mirrors half of the pictures. Not for letters or arrows.",
        options=_YES_NO,
    ),
    Field(
        "flip_vertical",
        "Mirror top and bottom",
        "For pictures without an up and down, such as from a microscope or from above.",
        options=_YES_NO,
    ),
    Field("max_rotate", "Max rotation", "The largest angle by which a picture is rotated.", unit="degrees"),
    Field("min_zoom", "Zoom, smallest", "The smallest factor by which a picture is enlarged. 1 doesn't enlarge."),
    Field("max_zoom", "Zoom, largest", "The largest factor by which a picture is enlarged."),
    Field(
        "max_lighting",
        "Brightness and contrast",
        "The largest change of brightness and contrast, from 0 to below 1.",
    ),
    Field("max_warp", "Perspective", "The largest change of perspective, as if the picture were seen from the side."),
    Field("p_affine", "Share rotated, zoomed or warped", "The probability of each of these changes, from 0 to 1."),
    Field("p_lighting", "Share with changed light", "The probability of each change of light, from 0 to 1."),
)


def run_fields() -> Sequence[Field]:
    """All fields outside stages and random changes."""
    return (MINUTES, ARCHITECTURE, NETWORK, WEIGHTS, *(field for group in GROUPS for field in group.fields))
