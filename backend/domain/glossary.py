"""What each technical word means, in one sentence, and why one would care. Shown by the macro ``term``."""

from collections.abc import Mapping
from typing import Final

GLOSSARY: Final[Mapping[str, str]] = {
    # Labels and split
    "rule": (
        "How labels are read from folders, file names or a table. Change the rule and every label changes with it."
    ),
    "pattern": (
        "A template (regular expression) that marks which part of a file name is the label. "
        "You can also click that part of a name."
    ),
    "held out": (
        "Pictures that are not used for training (validation pictures). "
        "Scores come from these, so they show how the model does on new pictures."
    ),
    "random changes": (
        "Small random changes of each training picture, such as a flip, a rotation or more light (augmentation). "
        "They keep the model from memorising single photos."
    ),
    # Training
    "architecture": (
        "The design of the network, such as ResNet-34. A larger one takes longer and is not always better."
    ),
    "picture size": (
        "Each picture is scaled to this many pixels a side before the model sees it. "
        "Larger shows more detail but takes longer."
    ),
    "batch size": "How many pictures are used for one update of the model. Larger needs more memory.",
    "seed": "The number from which all random choices follow. The same seed makes a result easier to repeat.",
    "stage": "A part of the training with its own settings. The model at its end is kept, so you can return to it.",
    "epoch": (
        "One pass over all training pictures. More passes help at first; later the model memorises its pictures "
        "(overfitting)."
    ),
    "frozen": (
        "Only the last layers are trained; the pretrained layers stay unchanged. That is quick and a safe start."
    ),
    "learning rate": (
        "The size of each update of the model. Too small and training is slow; too large and it becomes unstable."
    ),
    "momentum": (
        "How much of the previous update is carried over into the next one. "
        "It falls while the learning rate rises, which keeps large steps stable."
    ),
    "batch norm": (
        "Layers that keep the values inside the network in a steady range. "
        "Training them helps when your pictures look unlike everyday photos."
    ),
    # The run
    "train_loss": ("How far the answers on training pictures are from the labels. It should fall from epoch to epoch."),
    "valid_loss": (
        "How far the answers on validation pictures are from the labels. "
        "When it rises while the training loss falls, the model is overfitting."
    ),
    "error_rate": "The share of validation pictures with a wrong answer: 0.05 means 5 in 100. Lower is better.",
    "checkpoint": "The model as it was at the end of a stage. You can try it, analyse it or download it.",
    "parity report": "A check that the exported file gives the same answers as the trained model.",
    # Understanding
    "loss": "How wrong an answer is; a confident mistake counts most. Lower is better.",
    "range": (
        "The interval in which the true score lies with 95 % confidence. "
        "Two results whose intervals overlap a lot may be equal."
    ),
    "confusion matrix": "A table of labels against predictions. Everything off the diagonal is a mistake.",
    "most confused": (
        "The pairs of classes that are mixed up most, one direction at a time. "
        "They show which pictures or labels to check next."
    ),
    "top losses": "The pictures with the largest loss, worst first. Often the label is wrong.",
    "heat map": (
        "The parts of the picture that spoke most for a class. It shows where an answer came from; "
        "it does not prove that the answer is right."
    ),
    "precision": "Of all pictures predicted as a class, the share that belong to it. Low means false alarms.",
    "recall": "Of all pictures of a class, the share that were found. Low means some are missed.",
    "F1": "One number for precision and recall together. It is low if either of them is low.",
    "calibration error": (
        "How far confidence and the share of right answers lie apart, on average (ECE). "
        "Near 0, about 90 in 100 answers with 90 % confidence are right."
    ),
    "temperature": (
        "One number that makes all answers less confident (above 1) or more (below 1). "
        "The order of the classes stays the same."
    ),
    "threshold": "How confident the model must be to answer. Higher means fewer answers, and fewer wrong ones.",
    "strangeness": (
        "How unlike all training pictures a picture is to the network. "
        "Above a limit, it is taken for none of the classes."
    ),
    "probability": "How confident the model is in an answer. 98 % is no promise; models are often overconfident.",
}
"""Term as the templates call it, to its text."""


def explanation(word: str) -> str:
    """The text of ``word``.

    Raises:
        KeyError: no such term; a mistake in a template.
    """
    return GLOSSARY[word]
