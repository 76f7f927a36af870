"""Why nothing came from an address."""

from typing import Final


class Unfetched(Exception):
    """Nothing, or not all, came from an address.

    Attributes:
        code: for programs; stays the same.
        reason: for people; begins in lower case, like "the server didn't answer".
        is_passing: whether trying again may help.
        retry_after_s: how long the server wants to be left alone.
    """

    def __init__(self, code: str, reason: str, *, is_passing: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.code, self.reason, self.is_passing, self.retry_after_s = code, reason, is_passing, retry_after_s


NOT_PUBLIC: Final = "link-not-public"


def odd(why: str) -> Unfetched:
    """The address isn't one that is read."""
    return Unfetched("link-odd", f"this isn't an address that can be used: {why}")


def not_public(host: str) -> Unfetched:
    """Said alike of names that don't exist and of private servers, so that nobody can map a network by trying."""
    return Unfetched(
        NOT_PUBLIC, f"no server called “{host[:100]}” can be reached on the public internet", is_passing=True
    )


def no_answer(host: str) -> Unfetched:
    """Said alike where a connection is refused and where nothing comes in time."""
    return Unfetched("link-no-answer", f"the server {host[:100]} didn't answer", is_passing=True)


def unproved(host: str) -> Unfetched:
    """Its certificate is of somebody else, too old, or made by nobody who is trusted."""
    return Unfetched("link-certificate", f"the server's certificate doesn't prove that it is {host[:100]}")


def broke_off() -> Unfetched:
    """The connection ended too early."""
    return Unfetched("link-broke-off", "the connection broke off before everything had come", is_passing=True)


def too_slow() -> Unfetched:
    """It comes so slowly that it would take for ever."""
    return Unfetched("link-too-slow", "the server sends too slowly", is_passing=True)


def too_large(limit: int) -> Unfetched:
    """More bytes than are taken."""
    shown = f"{limit / 1e9:,.0f} GB" if limit >= 1e9 else f"{limit >> 20:,} MB"
    return Unfetched("link-too-large", f"what is there is larger than {shown}")


class Stopped(Exception):
    """Whoever asked doesn't want it any more."""
