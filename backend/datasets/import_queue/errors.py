"""What can be wrong with a list of addresses as a whole."""

from backend.domain.errors import InvalidInput, LimitExceeded


class NoAddresses(InvalidInput):
    """A list of addresses is empty."""

    code = "links-empty"

    def __init__(self) -> None:
        super().__init__("There is no address in the list.", advice="Paste at least one, each on a line of its own.")


class TooManyAddresses(LimitExceeded):
    """A list of addresses is too long."""

    code = "links-too-many"

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(
            f"These are {count:,} addresses; at most {limit:,} are taken at once.", advice="Send them in parts."
        )


class LabelUnusable(InvalidInput):
    """A label can't be the name of a folder."""

    code = "links-label-unusable"

    def __init__(self) -> None:
        super().__init__(
            "This label can't be used: it must have a letter or digit, and at most 100 characters.",
            advice="Use a name such as “grizzly”.",
        )
