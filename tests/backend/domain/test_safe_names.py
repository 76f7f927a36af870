import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.safe_names import LONGEST, SafeNames


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Maine Coon", "Maine Coon"),
        ("a/b", "a_b"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\cats", "C__cats"),
        ("<b>dog</b>", "_b_dog__b_"),
        ("CON", "_CON"),
        ("nul.of.it", "_nul.of.it"),
        ("ends with a dot.", "ends with a dot"),
        ("__MACOSX", "___MACOSX"),
        ("two\nlines", "two_lines"),
        ("\ud800", "_"),
        ("caf\u0065\u0301", "caf\u00e9"),
    ],
)
def test_a_name_becomes_one_that_every_system_accepts(name: str, expected: str) -> None:
    assert SafeNames().safe(name) == expected


def test_names_that_differ_only_in_capitals_get_numbers() -> None:
    names = SafeNames()

    assert [names.safe(name, ".jpg") for name in ("Cat", "cat", "CAT", "cat-2")] == [
        "Cat.jpg",
        "cat-2.jpg",
        "CAT-3.jpg",
        "cat-2-2.jpg",
    ]


def test_a_long_name_is_cut_between_letters() -> None:
    found = SafeNames().safe("\u00e9" * 300, ".jpg")

    assert found.endswith("\u00e9.jpg")
    assert len(found.encode()) <= LONGEST


@given(st.lists(st.text(max_size=200), max_size=20))
def test_no_name_leads_out_of_its_folder_and_no_two_are_the_same(given_names: list[str]) -> None:
    names = SafeNames()

    found = [names.safe(name, ".png") for name in given_names]

    assert len({name.casefold() for name in found}) == len(found)
    assert not any("/" in name or "\\" in name or name.startswith(".") for name in found)
    assert all(len(name.encode()) <= LONGEST for name in found)
