"""Lists in pages: ``{"items": [...], "next": CURSOR or null}``, the same for every list of the API."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, Protocol, Self, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from backend.domain.errors import InvalidInput

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None = Field(None, description="Cursor of the next page, for `after`; null on the last page.")

    @classmethod
    def of(cls, rows: Sequence["RowT"], limit: int, read: Callable[["RowT"], Item]) -> Self:
        """The first ``limit`` of ``rows``, whose last id is the cursor where there are more of them."""
        shown = rows[:limit]
        return cls(items=[read(row) for row in shown], next=shown[-1].id if len(rows) > limit else None)


class HasId(Protocol):
    """A row that its list is ordered by the id of."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""


RowT = TypeVar("RowT", bound=HasId)


class CursorUnknown(InvalidInput):
    """``after`` isn't a cursor that this list has given."""

    code = "cursor-unknown"

    def __init__(self, cursor: str) -> None:
        super().__init__(
            "The list can't go on from there.",
            advice="Leave “after” out, or send the value of “next” as it came.",
            details={"after": cursor},
        )


_ID: Final = re.compile(r"[0-9a-f]{32}")


def _id_cursor(
    after: Annotated[str | None, Query(max_length=64, description="The value of `next` on the page before.")] = None,
) -> str | None:
    # Of a row that has been deleted since, the id still marks where to go on; only its form can be checked.
    if after is not None and _ID.fullmatch(after) is None:
        raise CursorUnknown(after)
    return after


IdCursorDep = Annotated[str | None, Depends(_id_cursor)]
"""``after`` of a list that is ordered by its rows' ids.

Raises CursorUnknown where it is no id.
"""
LimitQuery = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
