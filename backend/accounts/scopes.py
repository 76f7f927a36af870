"""Which scope a request needs, and the refusal where the caller's is smaller."""

from collections.abc import Mapping
from typing import Final

from backend.domain.errors import NotAllowed
from backend.domain.scopes import TokenScope

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PREDICTING: Final = ("/predictions", "/try", "/covered")
_STORING_NOTHING: Final = (
    "/images/present",
    "/labels/preview",
    "/labels/show",
    "/labels/suggestions",
    "/train/forecast",
)
_ONES_OWN: Final = frozenset({"/sign-out", "/theme"})
_TOKENS: Final = "/api/v1/tokens"

_ALLOWS: Final[Mapping[TokenScope, str]] = {
    TokenScope.READ: "look at things",
    TokenScope.PREDICT: "look at things and classify pictures",
    TokenScope.WRITE: "do everything except manage keys",
    TokenScope.OWNER: "do everything",
}


class ScopeTooSmall(NotAllowed):
    """The caller's key is for less than this."""

    code = "scope-too-small"

    def __init__(self, has: TokenScope, needs: TokenScope) -> None:
        super().__init__(
            f"Your key may only {_ALLOWS[has]}; this needs a key with the scope “{needs}”.",
            advice="Ask the owner of this server for such a key.",
            details={"scope": has.value, "needed": needs.value},
        )


def scope_needed(method: str, path: str) -> TokenScope:
    """The smallest scope that allows a request; whatever isn't known to be harmless is a change."""
    if method in _SAFE_METHODS or path in _ONES_OWN or path.endswith(_STORING_NOTHING):
        return TokenScope.READ
    if path == _TOKENS or path.startswith(f"{_TOKENS}/"):
        return TokenScope.OWNER
    return TokenScope.PREDICT if path.endswith(_PREDICTING) else TokenScope.WRITE
