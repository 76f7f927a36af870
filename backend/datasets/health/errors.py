"""What can go wrong when somebody acts on a finding."""

from backend.domain.errors import Conflict, InvalidInput


class FindingGone(Conflict):
    """The finding that somebody wants to act on isn't there (any more)."""

    code = "finding-gone"

    def __init__(self) -> None:
        super().__init__(
            "This finding isn't there any more: the dataset has changed since.",
            advice="Load the page again to see what is there now.",
        )


class ActionImpossible(InvalidInput):
    """This can't be done about that finding."""

    code = "finding-action-impossible"

    def __init__(self, action: str, possible: list[str]) -> None:
        super().__init__(
            f"“{action}” can't be done about this finding.",
            advice=f"Possible: {', '.join(possible)}." if possible else "",
            details={"actions": possible},
        )
