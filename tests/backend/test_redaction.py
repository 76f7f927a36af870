"""What never reaches the log, and how long a line may be."""

from typing import Any

import pytest

from backend.redaction import HIDDEN, hide_secrets, hiding, shorten


def _hidden(event: dict[str, Any]) -> dict[str, Any]:
    return dict(hide_secrets(None, "info", event))


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer (hidden)"),
        ("GET /sign-in?token=abcdefgh12345678&next=/", "GET /sign-in?token=(hidden)&next=/"),
        ("{'password': 'abcdefgh12345678'}", "{'password': '(hidden)'}"),
        ("Cookie: sid=abcdefgh12345678; theme=dark", "Cookie: sid=(hidden); theme=dark"),
        ("postgresql://ana:pa55@db/tellapart", "postgresql://ana:(hidden)@db/tellapart"),
        ("redis://:pa55@valkey:6379/0", "redis://:(hidden)@valkey:6379/0"),
        ("the bearer of this key is fine", "the bearer of this key is fine"),
    ],
)
def test_what_follows_a_secrets_name_is_hidden(text: str, logged: str) -> None:
    assert _hidden({"event": text}) == {"event": logged}


def test_fields_that_hold_secrets_are_hidden_at_any_depth() -> None:
    event = {"token": "s", "headers": {"Cookie": "s", "accept": "*/*"}, "all": [{"authorization": "s"}]}

    assert _hidden(event) == {
        "token": HIDDEN,
        "headers": {"Cookie": HIDDEN, "accept": "*/*"},
        "all": [{"authorization": HIDDEN}],
    }


def test_what_the_request_brought_is_hidden_wherever_it_stands() -> None:
    with hiding(["my-own-secret", "id"]):
        inside = _hidden({"event": "it was my-own-secret", "error": ValueError("my-own-secret"), "id": "id"})

    assert inside == {"event": "it was (hidden)", "error": "(hidden)", "id": "id"}
    assert _hidden({"event": "my-own-secret"}) == {"event": "my-own-secret"}


def test_a_long_traceback_keeps_its_start_and_its_end() -> None:
    text = str(shorten(None, "error", {"exception": "Traceback" + "x" * 400_000 + "RuntimeError: why"})["exception"])

    assert len(text) < 6100
    assert text.startswith("Traceback")
    assert text.endswith("RuntimeError: why")
    assert "(394026 bytes left out)" in text


def test_many_long_fields_make_no_long_line() -> None:
    event = shorten(None, "info", {f"field{number}": "é" * 5000 for number in range(20)})

    assert len(repr(event).encode()) < 4000
