"""Pages: sign in, sign out."""

from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from backend.accounts.cookies import session_cookie
from backend.accounts.guesses import network_of
from backend.accounts.sessions import close_session, find_session
from backend.accounts.sign_in import SignedIn, TooManyTries, UsedLink, WrongKey, sign_in
from backend.caller import CallerDep
from backend.dependencies import Services, ServicesDep, SettingsDep, UnitDep
from backend.redaction import hide
from backend.templating import render

router = APIRouter(include_in_schema=False)

WRONG_KEY: Final = "This key isn't right. Check that you copied all of it."
USED_LINK: Final = "This link has been used or is too old: each works once, within an hour. Enter the key instead."
_FROM_ELSEWHERE: Final = ("cross-site", "same-site")


@router.get("/sign-in")
def sign_in_page(
    request: Request,
    services: ServicesDep,
    next: Annotated[str, Query(max_length=2000)] = "",
    token: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Ask for the key; or take it from the link that the start printed.

    A page of another site can have a browser load this address, as a picture even. Then nothing is tried or counted:
    the key of the link stands in the form, and a person has to send it.
    """
    if token is None:
        return _form(request, next)
    if request.headers.get("sec-fetch-site") in _FROM_ELSEWHERE:
        return _form(request, next, key=token)
    return _try_key(request, services, token, next)


@router.post("/sign-in")
def sign_in_by_form(
    request: Request,
    services: ServicesDep,
    key: Annotated[str, Form(max_length=500)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Take the key from the form."""
    return _try_key(request, services, key, next)


@router.post("/sign-out")
def sign_out(unit: UnitDep, settings: SettingsDep, caller: CallerDep) -> Response:
    """End this browser's session; copies of its cookie are dead at once."""
    close_session(unit.session, caller.session_sha256)
    response = RedirectResponse(f"{settings.root_path}/sign-in", 303)
    session_cookie(settings).take_away(response)
    return response


def place_on_this_site(wanted: str, root_path: str) -> str:
    """``wanted`` where it is a path of ours, else the first page: a link must not lead elsewhere."""
    home = f"{root_path}/"
    if not wanted.isprintable() or "\\" in wanted or not wanted.startswith(home) or wanted.startswith("//"):
        return home
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return home
    return home if parts.scheme or parts.netloc else wanted


def _try_key(request: Request, services: Services, key: str, wanted: str) -> Response:
    hide(key)
    address = network_of(request.client.host if request.client else None)
    with services.open_unit()() as unit:
        outcome = sign_in(unit.session, key, address)
    match outcome:
        case SignedIn(session_secret):
            response = RedirectResponse(place_on_this_site(wanted, services.settings.root_path), 303)
            session_cookie(services.settings).put(response, session_secret)
            response.headers["Cache-Control"] = "no-store"
            return response
        case WrongKey():
            return _form(request, wanted, WRONG_KEY, status=401)
        case UsedLink():
            if _is_signed_in(request, services):  # a browser may load a link before its user follows it
                return RedirectResponse(place_on_this_site(wanted, services.settings.root_path), 303)
            return _form(request, wanted, USED_LINK, status=401)
        case TooManyTries(wait):
            return _too_many(request, wanted, wait)


def _is_signed_in(request: Request, services: Services) -> bool:
    cookie = request.cookies.get(session_cookie(services.settings).name)
    return cookie is not None and find_session(services.database, cookie) is not None


def _too_many(request: Request, wanted: str, wait: timedelta) -> Response:
    seconds = int(wait.total_seconds())
    response = _form(request, wanted, "Too many wrong keys from this address. Try again in a minute.", status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _form(request: Request, wanted: str, problem: str = "", status: int = 200, key: str = "") -> Response:
    context = {"next": wanted, "problem": problem, "key": key}
    response = render(request, "accounts/sign_in.html", context, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
