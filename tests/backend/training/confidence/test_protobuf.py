"""Protobuf's wire format, as far as it is needed."""

import pytest

from backend.training.confidence.protobuf import Field, MessageBroken, fields, message, number, text, written


def test_a_message_is_written_as_the_format_has_it() -> None:
    # The examples of https://protobuf.dev/programming-guides/encoding
    assert written([number(1, 150)]) == bytes.fromhex("089601")
    assert written([text(2, "testing")]) == bytes.fromhex("120774657374696e67")
    assert written([message(3, [number(1, 150)])]) == bytes.fromhex("1a03089601")


def test_what_is_read_is_written_again_unchanged() -> None:
    content = bytes.fromhex("089601120774657374696e671d0000803f21000000000000f03f")

    found = list(fields(content))

    assert found == [
        Field(1, 150, 0),
        Field(2, b"testing"),
        Field(3, bytes.fromhex("0000803f"), 5),
        Field(4, bytes.fromhex("000000000000f03f"), 1),
    ]
    assert written(found) == content


def test_long_texts_have_long_lengths() -> None:
    assert list(fields(written([text(1, "x" * 300)]))) == [Field(1, b"x" * 300)]


@pytest.mark.parametrize("broken", ["0a05", "0896", "0b", "0a" + "ff" * 12], ids=["cut", "number", "wire", "length"])
def test_what_is_no_message_is_refused(broken: str) -> None:
    with pytest.raises(MessageBroken):
        list(fields(bytes.fromhex(broken)))
