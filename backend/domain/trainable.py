"""What labelled and split images need so that a network can be trained on them."""

from collections.abc import Sequence

from backend.domain.errors import InvalidInput


class OneClassOnly(InvalidInput):
    """There are fewer than two classes to tell apart."""

    code = "one-class-only"

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        found = f"only “{classes[0]}”" if classes else "none"
        super().__init__(
            f"Telling pictures apart needs at least two classes; there is {found}.",
            advice="Add pictures of a second class, or check how the labels are read.",
            details={"classes": list(classes)},
        )


class NoValidationImages(InvalidInput):
    """No image is held out, so nobody could tell how good the model is."""

    code = "no-validation-images"

    def __init__(self) -> None:
        super().__init__(
            "No pictures are held out to test the model on.",
            advice="Hold out a share such as 20 %. A class needs at least two pictures for that.",
        )


class NoTrainingImages(InvalidInput):
    """Every image is held out, so there is nothing to learn from."""

    code = "no-training-images"

    def __init__(self) -> None:
        super().__init__(
            "Every picture is held out for testing, so there is nothing to learn from.",
            advice="Hold out a smaller share, or choose another way to hold pictures out.",
        )
