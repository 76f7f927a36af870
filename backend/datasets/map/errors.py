"""What can go wrong with maps."""

from backend.domain.errors import Conflict, InvalidInput


class MapUnavailable(Conflict):
    """No picture of the dataset has been examined."""

    code = "map-unavailable"

    def __init__(self) -> None:
        super().__init__(
            "No picture of this dataset has been examined yet, so there is no map.",
            advice="Pictures are examined by a worker after they arrive; wait until one has done so.",
        )


class MapChanged(Conflict):
    """The map that is asked for is another one by now, or is not arranged like that."""

    code = "map-changed"

    def __init__(self) -> None:
        super().__init__(
            "The map of this dataset has changed: pictures were examined in the meantime.",
            advice="Ask for the map again, and use its new key.",
        )


class RunNeeded(InvalidInput):
    """Answers are asked for without saying whose."""

    code = "run-missing"

    def __init__(self) -> None:
        super().__init__(
            "Right or wrong, and predicted classes, are the answers of one training.",
            advice="Name the training, as “run”.",
        )
