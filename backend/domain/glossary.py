"""What each technical word means, in one sentence, and why one would care. Shown by the macro ``term``."""

from collections.abc import Mapping
from typing import Final

GLOSSARY: Final[Mapping[str, str]] = {
    # Labels and split
    "rule": "How labels are read from names, folders or a table. Change it and all labels follow.",
    "pattern": (
        "A template (regular expression) that marks which part of a file name counts. "
        "You can also just click that part in a name."
    ),
    "held out": (
        "Pictures kept away while it learns, to see how it does on pictures it never saw. All scores come from these."
    ),
    "random changes": (
        "Small changes by chance, such as a flip, a turn or more light (augmentation). "
        "They make it learn the thing, not the photograph."
    ),
    # Training
    "architecture": "How the model is built, such as ResNet-34. A bigger one is slower and not always better.",
    "picture size": (
        "Each picture is scaled to this many pixels a side before the model sees it. "
        "Larger shows more detail but takes longer."
    ),
    "batch size": "How many pictures it looks at before each small correction. Larger needs more memory.",
    "seed": "The number that fixes chance. The same seed makes a result easier to repeat.",
    "stage": "A part of the training with its own settings. Its model is kept, so you can go back to it.",
    "epoch": "One pass over all training pictures. More passes help at first, until it learns its pictures by heart.",
    "frozen": (
        "Only the last part, which decides, learns; what it already knows about pictures stays as it is. "
        "That is quick and safe to begin with."
    ),
    "learning rate": "How big each correction is. Too small and it learns slowly; too big and it stumbles.",
    "momentum": (
        "How much of the last correction is carried into the next one. It moves against the learning rate, "
        "so that large steps stay steady."
    ),
    "batch norm": (
        "Parts of the model that keep the numbers inside it in a steady range. "
        "Letting them learn on helps when your pictures look unlike everyday photos."
    ),
    # The run
    "train_loss": "The penalty for being wrong on the pictures it learns from. It should fall from epoch to epoch.",
    "valid_loss": (
        "The penalty for being wrong on pictures kept away from learning. "
        "When it rises while the other falls, learning by heart has begun."
    ),
    "error_rate": "The share of test pictures it gets wrong: 0.05 means 5 in 100. Lower is better.",
    "checkpoint": "The model as it was at the end of a stage. You can try it, look into it or take it away.",
    "parity report": (
        "A check that the model in the file answers as the one you tested. So nothing was lost on the way."
    ),
    # Understanding
    "loss": "A penalty for being wrong, larger when it was sure of itself. Lower is better.",
    "range": (
        "Where the true score lies, given how few pictures were tested. "
        "Two results whose ranges overlap a lot may be equal."
    ),
    "confusion matrix": (
        "A table of what things really are against what the model says. Off the diagonal are the mistakes."
    ),
    "most confused": (
        "The pairs it mixes up most, one direction at a time. They show which pictures or labels to look at next."
    ),
    "top losses": "The pictures it was most wrong about, worst first. Often the label is to blame.",
    "precision": "When it names a class, how often that's true. Low means false alarms.",
    "recall": "Of all pictures that really are of a class, how many it found. Low means it misses some.",
    "F1": "One number between precision and recall. It is low if either of them is low.",
    "probability": "How sure the model itself is of an answer. 98 % isn't a promise; models are often too sure.",
}
"""Term as the templates call it, to its text."""


def explanation(word: str) -> str:
    """The text of ``word``.

    Raises:
        KeyError: no such term; a mistake in a template.
    """
    return GLOSSARY[word]
