"""REST: tokens for programs."""

from fastapi import APIRouter

from backend.accounts import tokens
from backend.accounts.schemas import NewToken, Token, TokenOrder
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
def create_token(unit: UnitDep, order: TokenOrder) -> NewToken:
    """Make a token for a program. Its secret is in this answer and nowhere else."""
    row, secret = tokens.create_token(unit.session, order.name, order.lifetime)
    return NewToken(**Token.of(row).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(unit: UnitDep, token_id: str) -> None:
    """Take a token away: programs that use it get 401 from now on, browsers that signed in by it are signed out."""
    tokens.revoke_token(unit.session, TokenId(token_id))
