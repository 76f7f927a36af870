"""What can go wrong with a look inside a network."""

from backend.domain.errors import NotFound


class InsidePictureMissing(NotFound):
    """There is no such picture of filters or patches (any more)."""

    code = "inside-picture-missing"

    def __init__(self) -> None:
        super().__init__(
            "This picture of the network's inside isn't there.",
            advice="Ask for what is there (GET …/inside), and use the addresses in it.",
        )
