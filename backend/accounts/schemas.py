"""Bodies about tokens."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.domain.scopes import TokenScope
from backend.tables.accounts import TokenRow

_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"


class TokenOrder(BaseModel):
    """What a new token is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PRINTABLE)]
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    scope: TokenScope = TokenScope.WRITE

    @property
    def lifetime(self) -> timedelta | None:
        """How long it is to work; None: until it is taken away."""
        return None if self.expires_in_days is None else timedelta(days=self.expires_in_days)


class Token(BaseModel):
    """A token without its secret."""

    id: str
    name: str
    is_owner: bool
    scope: TokenScope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: TokenRow) -> Self:
        """From its row."""
        return cls(
            id=row.id,
            name=row.name,
            is_owner=row.is_owner,
            scope=TokenScope(row.scope),
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )


class NewToken(Token):
    """A token with its secret, shown this once."""

    token: str
