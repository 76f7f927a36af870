"""Every number of a training as a field of the train form: its label, what it does in one sentence, its choices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Options = tuple[tuple[str, str], ...]
_YES_NO: Final[Options] = (("true", "yes"), ("false", "no"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field; an empty one takes the card's value.

    Attributes:
        options: (value, words) of a choice; empty for a number that is typed.
        low, high: bounds of a whole number; None for other numbers, whose bounds the config knows.
    """

    name: str
    label: str
    hint: str
    options: Options = ()
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    title: str
    fields: tuple[Field, ...]


ARCHITECTURE: Final = Field(
    "architecture", "Model", "How the model is built (architecture). A bigger one is slower and not always better."
)
WEIGHTS: Final = Field(
    "weights", "Pretrained weights", "What it knows about pictures before it sees yours; from a million others."
)

GROUPS: Final = (
    Group(
        "Pictures",
        (
            Field(
                "image_size",
                "Picture size, pixels",
                "Each picture is scaled to this many pixels a side. Larger shows more detail but takes longer.",
                low=32,
                high=1024,
            ),
            Field(
                "crop_share",
                "Share of the picture that is seen",
                "The middle square that is cut out for a test, as a share of the short side. 1 leaves no margin.",
            ),
            Field(
                "class_balance",
                "Unequal classes",
                "What is done when some classes have far fewer pictures: nothing, weigh mistakes, or draw evenly.",
                options=(
                    ("none", "leave as they are"),
                    ("weighted-loss", "weigh mistakes on rare ones more"),
                    ("balanced-sampling", "draw all equally often"),
                ),
            ),
            Field(
                "test_time_views",
                "Test-time views",
                "Each test picture is also judged in so many changed forms, and the answers are mixed. 0 is off.",
                low=0,
                high=32,
            ),
        ),
    ),
    Group(
        "Learning",
        (
            Field(
                "batch_size",
                "Batch size",
                "How many pictures it looks at before each small correction. Larger needs more memory.",
                low=2,
                high=1024,
            ),
            Field(
                "weight_decay",
                "Weight decay",
                "Pulls all numbers of the model a little towards zero, which keeps it from learning by heart.",
            ),
            Field(
                "label_smoothing",
                "Label smoothing",
                "How much doubt is put into every label; 0.1 stops it from being too sure. 0 is off.",
            ),
            Field(
                "seed",
                "Seed",
                "The number that fixes chance. The same seed makes a result easier to repeat.",
                low=0,
                high=2**32 - 1,
            ),
            Field(
                "decay_batch_norm",
                "Decay batch norm too",
                "Whether weight decay also pulls at batch norm and biases; the 2019 course did so.",
                options=_YES_NO,
            ),
            Field(
                "last_layer_bias",
                "Bias in the last layer",
                "Whether each class has a constant of its own in the last layer; the 2019 course had one.",
                options=_YES_NO,
            ),
            Field(
                "adam_beta",
                "Memory of the step sizes",
                "Adam's second number: how long it remembers how large the corrections were. Nearly always 0.99.",
            ),
            Field(
                "adam_epsilon",
                "Smallest divisor",
                "Adam's epsilon: keeps corrections from growing where the slope is nearly flat. Leave it as it is.",
            ),
        ),
    ),
    Group(
        "Machine",
        (
            Field(
                "device",
                "Runs on",
                "A graphics card is many times faster; auto takes one where a worker has it.",
                options=(("auto", "auto"), ("cpu", "the processor"), ("cuda", "a graphics card")),
            ),
            Field(
                "precision",
                "Precision",
                "How finely it calculates. Auto asks the hardware; 16 bits save memory and, on some, time.",
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

STAGE_HEAD: Final = (
    Field(
        "freeze",
        "What learns",
        "Only the head decides and is new; with everything, what it knew about pictures may change a little too.",
        options=(("true", "the head (frozen)"), ("false", "everything")),
    ),
    Field(
        "epochs",
        "Epochs",
        "Passes over all training pictures. More help at first, until it learns its pictures by heart.",
        low=1,
        high=1000,
    ),
    Field(
        "low",
        "Rate, lowest layers",
        "Learning rate of the first layers, in a stage in which everything learns; those between lie between.",
    ),
    Field(
        "high",
        "Rate, head",
        "How big each correction is (learning rate). Too small is slow, too big stumbles. The word find searches it.",
    ),
)
STAGE_MORE: Final = (
    Field(
        "bn",
        "Batch norm of frozen layers",
        "Whether the steadying parts of frozen layers learn on. Standing still is faster, and better on small sets.",
        options=(("true", "goes on learning"), ("false", "stands still")),
    ),
    Field("warmup", "Warm-up", "Share of the steps in which the rate rises to its top, such as 0.25."),
    Field("start_div", "Start divisor", "The rate begins at its top divided by this."),
    Field("final_div", "End divisor", "The rate ends at its top divided by this."),
    Field(
        "momentum_high",
        "Highest momentum",
        "How much of the last correction is carried on while the rate is low, such as 0.95.",
    ),
    Field("momentum_low", "Lowest momentum", "The same while the rate is at its top, such as 0.85."),
    Field(
        "views",
        "Views kept",
        "So many random views of each picture are shown to layers that stand still; their answers are kept and reused.",
        low=1,
        high=16,
    ),
    Field(
        "frozen_blocks",
        "Lowest blocks left frozen",
        "So many blocks at the bottom stay as they are although everything learns: faster, as edges stay edges.",
        low=0,
        high=32,
    ),
    Field(
        "image_size",
        "Picture size in this stage",
        "Smaller pictures in early stages save time; empty is the size of the whole training.",
        low=32,
        high=1024,
    ),
    Field(
        "keep_best",
        "Keep the best epoch",
        "The stage ends with the model of its best epoch, not of its last.",
        options=_YES_NO,
    ),
    Field(
        "early_stopping",
        "Stop early after",
        "The stage ends after so many epochs without a better one; empty is never.",
        low=1,
        high=1000,
    ),
)
STAGE_FIELDS: Final = STAGE_HEAD + STAGE_MORE

CHANGES: Final = (
    Field("flip", "Mirror left and right", "Half of the times; not for letters or arrows.", options=_YES_NO),
    Field(
        "flip_vertical",
        "Mirror top and bottom",
        "For pictures that have no up, such as from a microscope or from above.",
        options=_YES_NO,
    ),
    Field("max_rotate", "Turn, up to degrees", "So far a picture is turned at most."),
    Field("min_zoom", "Zoom, from", "The least that a picture is enlarged; 1 is not at all."),
    Field("max_zoom", "Zoom, up to times", "The most that a picture is enlarged."),
    Field("max_lighting", "Light, up to", "The most that brightness and contrast change, from 0 to 1."),
    Field("max_warp", "Tilt, up to", "The most that a picture is tilted, as if seen from the side."),
    Field("p_affine", "How often turned, zoomed, tilted", "The chance of each of these, from 0 to 1."),
    Field("p_lighting", "How often lit differently", "The chance of brighter or darker, and of more contrast, 0 to 1."),
)


def run_fields() -> Sequence[Field]:
    """All fields outside stages and random changes."""
    return (ARCHITECTURE, WEIGHTS, *(field for group in GROUPS for field in group.fields))
