"""What a token may do: four steps, each including those before it."""

from enum import StrEnum


class TokenScope(StrEnum):
    """``read`` looks, ``predict`` also classifies pictures, ``write`` also changes data, ``owner`` makes tokens too."""

    READ = "read"
    PREDICT = "predict"
    WRITE = "write"
    OWNER = "owner"

    def includes(self, other: "TokenScope") -> bool:
        """Whether a token of this scope may do what ``other`` allows."""
        order = list(TokenScope)
        return order.index(self) >= order.index(other)
