"""REST: tokens for programs."""

from fastapi import APIRouter

from backend.accounts import tokens
from backend.accounts.schemas import NewToken, Token, TokenOrder
from backend.caller import CallerDep
from backend.dependencies import ReadDep, UnitDep
from backend.domain.ids import TokenId
from backend.pagination import IdCursorDep, LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["tokens"])


@router.get("/tokens")
def list_tokens(session: ReadDep, limit: LimitQuery = 100, after: IdCursorDep = None) -> Page[Token]:
    """Tokens that work, oldest first, without their secrets."""
    rows = tokens.list_tokens(session, after=after, limit=limit)
    return Page[Token].of(rows, limit, Token.of)


@router.post("/tokens", status_code=201)
def create_token(unit: UnitDep, order: TokenOrder, caller: CallerDep) -> NewToken:
    """Make a token for a program, with a scope: read, predict, write or owner. Its secret is in this answer only."""
    row, secret = tokens.create_token(unit.session, order.name, order.lifetime, scope=order.scope, maker=caller)
    return NewToken(**Token.of(row).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(unit: UnitDep, token_id: str) -> None:
    """Take a token away, and all that it made: programs that use it get 401, browsers that signed in by it are out."""
    tokens.revoke_token(unit.session, TokenId(token_id))
