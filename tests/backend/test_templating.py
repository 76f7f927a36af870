"""What every page relies on: escaping, addresses below a sub-path, display strings."""

from datetime import UTC, datetime, timedelta

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from backend.built_files import FRONTEND
from backend.templating import ago, counted, duration, error_page, go_to, number, page, percent, rough_time, size

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ERROR = {"code": "odd", "message": "<b>Odd</b> name.", "advice": "Choose another."}


def asked(root_path: str = "", headers: dict[str, str] | None = None) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "GET", "path": "/", "root_path": root_path, "headers": raw})


def test_the_next_page_shows_once_what_an_action_has_done() -> None:
    there = go_to(asked(), "/", "“<b>pets</b>” was deleted.")
    cookie = there.headers["set-cookie"].partition(";")[0]

    page_then = error_page(asked(headers={"Cookie": cookie}), 404, ERROR)

    assert (there.status_code, there.headers["location"]) == (303, "/")
    assert ">“&lt;b&gt;pets&lt;/b&gt;” was deleted.</div>" in bytes(page_then.body).decode()
    assert 'tellapart-words=""' in page_then.headers["set-cookie"]


def test_a_page_that_is_not_there_reports_it() -> None:
    text = bytes(error_page(asked(), 404, ERROR).body).decode()

    assert "<h1>Page not found</h1>" in text


def test_what_people_wrote_is_text() -> None:
    text = bytes(error_page(asked(), 422, ERROR).body).decode()

    assert "&lt;b&gt;Odd&lt;/b&gt; name." in text
    assert "<b>Odd" not in text
    assert "Choose another." in text


def test_addresses_hold_below_a_sub_path() -> None:
    text = bytes(error_page(asked("/tellapart"), 404, ERROR).body).decode()

    assert 'content="/tellapart"' in text
    assert 'href="/tellapart/runs"' in text
    assert 'href="/tellapart/static/' in text


def test_a_script_gets_an_error_without_the_frame() -> None:
    text = bytes(error_page(asked(headers={"HX-Request": "true"}), 422, ERROR).body).decode()

    assert "Choose another." in text
    assert "<html" not in text


def test_a_missing_value_is_our_mistake_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        page(asked(), "error.html")


@pytest.mark.parametrize(("cookie", "found"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"')])
def test_a_chosen_theme_is_drawn_by_the_server(cookie: str, found: str) -> None:
    text = bytes(error_page(asked(headers={"Cookie": f"tellapart-theme={cookie}"}), 404, ERROR).body).decode()

    assert found in text


def test_an_unknown_theme_is_passed_over() -> None:
    headers = {"Cookie": 'tellapart-theme="><script>"'}

    text = bytes(error_page(asked(headers=headers), 404, ERROR).body).decode()

    assert '<html lang="en">' in text


def test_no_page_has_style_or_script_of_its_own() -> None:
    for template in (FRONTEND / "templates").rglob("*.html"):
        text = template.read_text("utf-8")
        assert " style=" not in text, template
        assert "<script>" not in text, template
        assert " onclick=" not in text, template


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "about 10 s"), (61, "about 70 s"), (121, "about 3 min"), (1201, "about 25 min"), (7200, "about 2.0 h")],
)
def test_rough_times_are_rounded_up(seconds: float, words: str) -> None:
    assert rough_time(seconds) == words


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (number(7390), "7,390"),
        (counted(1, "class", "classes"), "1 class"),
        (counted(37, "class", "classes"), "37 classes"),
        (counted(7390, "picture"), "7,390 pictures"),
        (size(999), "999 bytes"),
        (size(7_900_000), "7.9 MB"),
        (size(811_000_000), "811 MB"),
        (percent(0.942), "94.2 %"),
        (duration(52), "00:52"),
        (duration(3661), "1:01:01"),
    ],
)
def test_display_strings(shown: str, words: str) -> None:
    assert shown == words


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(days=2), "2 days ago"),
    ],
)
def test_times_are_rough_with_the_exact_one_on_hover(passed: timedelta, words: str) -> None:
    shown = ago(NOW - passed, NOW)

    assert f">{words}</time>" in shown
    assert 'title="' in shown
