"""Pages: the template environment, its filters, and addresses that hold under a sub-path."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse

from backend.built_files import FRONTEND, asset
from backend.caller import caller_of, csrf_token
from backend.domain.glossary import explanation
from backend.domain.results import proportion_words
from backend.domain.runs import STATUS_WORDS
from backend.version import version

WORDS_COOKIE: Final = "tellapart-words"
"""What the next page says once, after an action that led to it."""
UNDO_COOKIE: Final = "tellapart-undo"
"""With the words of a deletion: the id under which the bin has what was deleted."""
THEME_COOKIE: Final = "tellapart-theme"
THEMES: Final = ("light", "dark")


def page(
    request: Request, name: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """A template of ``frontend/templates`` as the answer (Any: whatever the template shows)."""
    return render(request, name, context, status=status, headers=headers)


def render(
    request: Request,
    name: str,
    context: Mapping[str, Any],  # Any: whatever the template shows
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """The same with the context as a mapping."""
    frame = _frame(request)
    hidden = frame.keys() & context.keys() - {"section"}
    assert not hidden, f"the frame of every page shows its own {', '.join(sorted(hidden))}"
    html = _environment().get_template(name).render(frame | dict(context))
    response = HTMLResponse(html, status, headers=dict(headers or {}))
    if WORDS_COOKIE in request.cookies and not is_fragment(request):
        for cookie in (WORDS_COOKIE, UNDO_COOKIE):
            response.delete_cookie(cookie, path=address(request, "") or "/")
    return response


def go_to(request: Request, path: str, words: str = "", *, undo: str | None = None) -> RedirectResponse:
    """Another page after an action; it says ``words`` once, such as ``Deleted “pets”.``

    ``undo``: the bin's id of what was deleted, which the page then offers to bring back.
    """
    response = RedirectResponse(address(request, path), 303)
    for cookie, value in ((WORDS_COOKIE, quote(words)), (UNDO_COOKIE, undo or "")):
        if value:
            response.set_cookie(
                cookie, value, max_age=30, path=address(request, "") or "/", httponly=True, samesite="lax"
            )
    return response


def error_page(
    request: Request, status: int, error: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """An error as a page, or as a fragment where only a part of a page was asked for (Any: JSON values)."""
    if is_fragment(request):
        return page(request, "_error.html", status=status, headers=headers, error=error)
    title = _ERROR_TITLES.get(status, "That didn't work")
    return page(request, "error.html", status=status, headers=headers, error=error, title=title, status_code=status)


def is_fragment(request: Request) -> bool:
    """Whether our own script asks for a part of a page."""
    return request.headers.get("hx-request") == "true"


def address(request: Request, path: str) -> str:
    """``path`` where people reach it, also behind a proxy's sub-path; for redirects."""
    root: str = request.scope.get("root_path", "")
    return root + path


def _frame(request: Request) -> dict[str, Any]:  # Any: the template's context
    token = csrf_token(request)
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "request": request,
        "url": lambda path: address(request, path),
        "asset": lambda name: address(request, f"/static/{asset(name)}"),
        "csrf_token": token,
        # First in its form, so that it is read before any file.
        "csrf_field": Markup('<input type="hidden" name="csrf_token" value="{}">').format(token),
        "program_version": version(),
        "caller_words": _caller_words(request),
        "status_text": unquote(request.cookies.get(WORDS_COOKIE, ""))[:300],
        "undo_id": undo if _ID.fullmatch(undo := request.cookies.get(UNDO_COOKIE, "")) else None,
        "theme": theme if theme in THEMES else None,
        "section": "datasets",
    }


def _caller_words(request: Request) -> str:
    caller = caller_of(request)
    if caller is None:
        return ""
    return "Signed in as the owner" if caller.is_owner else "Signed in with a token"


_ID: Final = re.compile(r"[0-9a-f]{32}")
_ERROR_TITLES: Final = {
    403: "Not allowed",
    404: "Page not found",
    413: "Too large",
    429: "Too many requests",
    503: "The server is busy",
    507: "The disk is full",
}


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FRONTEND / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    environment.filters.update(
        number=number,
        counted=counted,
        bytes=size,
        percent=percent,
        duration=duration,
        rough_time=rough_time,
        ago=ago,
        explanation=explanation,
    )
    environment.globals.update(proportion_words=proportion_words, status_words=STATUS_WORDS.__getitem__)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment


def number(value: int) -> str:
    """``7,390``."""
    return f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """``1 picture``, ``7,390 pictures``."""
    return f"{value:,} {one if value == 1 else many or f'{one}s'}"


def size(value: int) -> str:
    """A size in powers of ten: ``811 MB``."""
    if value < 1000:
        return f"{value} bytes"
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if value >= unit:
            return f"{value / unit:.0f} {name}" if value >= 100 * unit else f"{value / unit:.1f} {name}"
    raise AssertionError


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as ``94.2 %``."""
    return f"{100 * share:.{digits}f} %"


def duration(seconds: float) -> str:
    """``mm:ss`` as in the course; ``h:mm:ss`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def rough_time(seconds: float) -> str:
    """Rounded up: to 10 s under 2 min, to 1 min under 20, to 5 above."""
    if seconds < 120:
        return f"about {max(10, -(-int(seconds) // 10) * 10)} s"
    step = 1 if seconds < 1200 else 5
    minutes = -(-int(seconds) // (60 * step)) * step
    return f"about {minutes} min" if minutes < 90 else f"about {minutes / 60:.1f} h"


def ago(moment: datetime, now: datetime | None = None) -> Markup:
    """``3 min ago`` with the exact time on hover."""
    seconds = max(0, int(((now or datetime.now(UTC)) - moment).total_seconds()))
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "min")):
        if seconds >= length:
            passed = seconds // length
            words = f"{passed} {unit}{'s' if passed > 1 and unit != 'min' else ''} ago"
            break
    else:
        words = "just now"
    exact = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact.isoformat(timespec="seconds"), exact.strftime("%d %b %Y, %H:%M UTC"), words
    )
