import pytest

from backend.outbound.addresses import parse
from backend.outbound.errors import Unfetched


@pytest.mark.parametrize(
    ("text", "authority", "target"),
    [
        ("https://example.org/a/b.jpg?x=1#part", "example.org", "/a/b.jpg?x=1"),
        ("HTTP://Example.ORG:8080", "example.org:8080", "/"),
        ("https://example.org:443?q", "example.org", "/?q"),
        ("https://b\u00fccher.example/gr\u00fc\u00dfe.png", "xn--bcher-kva.example", "/gr%C3%BC%C3%9Fe.png"),
        ("http://[2606:4700::1111]:81/x", "[2606:4700::1111]:81", "/x"),
        ("http://8.8.8.8/x%20y", "8.8.8.8", "/x%20y"),
    ],
)
def test_an_ordinary_address_is_read_into_what_is_sent(text: str, authority: str, target: str) -> None:
    address = parse(text)

    assert (address.authority, address.target) == (authority, target)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:pass@example.org/",
        "http://good.example@evil.example/",
        "http://good.example\\@evil.example/",
        "http://good.example\\.evil.example/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: evil",
        "http://example.org/a\x00b",
        "http://example\u3002org/",
        "http://127\uff0e0\uff0e0\uff0e1/",
        "http://\u200bexample.org/",
        "http://localhost./",
        "http://127.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1%25eth0]/",
        "http://[::1",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org:80:81/",
        "http:///path",
        "http:example.org",
        "//example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "javascript:alert(1)",
        "http://-example.org/",
        "http://example..org/",
        "http://" + "a" * 9000,
        "",
    ],
)
def test_s04_an_address_that_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Unfetched) as refused:
        parse(text)

    assert refused.value.code == "link-odd"


def test_the_part_after_a_number_sign_never_becomes_the_server() -> None:
    assert parse("http://good.example#@evil.example/").authority == "good.example"
    assert parse("http://good.example/#@evil.example/").authority == "good.example"


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/other.jpg", "https://example.org/other.jpg"),
        ("next.jpg", "https://example.org/a/next.jpg"),
        ("//elsewhere.example/x", "https://elsewhere.example/x"),
        ("http://example.com", "http://example.com/"),
    ],
)
def test_a_redirect_may_be_relative(location: str, leads_to: str) -> None:
    assert str(parse("https://example.org/a/b.jpg").joined(location)) == leads_to


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://x/", "//u:p@evil.example/", "/\\evil.example", "//[x", "http://[::1/"]
)
def test_s02_a_redirect_is_read_as_strictly_as_an_address(location: str) -> None:
    with pytest.raises(Unfetched):
        parse("https://example.org/").joined(location)
