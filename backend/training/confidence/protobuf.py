"""Just enough of protobuf's wire format to change a message: fields in, fields out.

Source: https://protobuf.dev/programming-guides/encoding. The web process has no ONNX library, and needs none for this.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MessageBroken(ValueError):
    """The bytes are no message."""


class Field(NamedTuple):
    """A field of a message: its number, and its value as a number (varint) or as bytes; ``wire`` is its wire type."""

    number: int
    value: int | bytes
    wire: int = _BYTES


def number(field: int, value: int) -> Field:
    """A field with a whole number, not below 0."""
    return Field(field, value, _VARINT)


def text(field: int, value: str) -> Field:
    """A field with a text."""
    return Field(field, value.encode())


def message(field: int, content: Iterable[Field]) -> Field:
    """A field with a message."""
    return Field(field, written(content))


def fields(content: bytes) -> Iterator[Field]:
    """The fields of a message, in order.

    Raises:
        MessageBroken
    """
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        wire = key & 7
        if wire == _VARINT:
            value, place = _varint(content, place)
            yield Field(key >> 3, value, wire)
            continue
        if wire == _BYTES:
            length, place = _varint(content, place)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise MessageBroken(f"wire type {wire}")
        if place + length > len(content):
            raise MessageBroken("a field is cut off")
        yield Field(key >> 3, content[place : place + length], wire)
        place += length


def written(content: Iterable[Field]) -> bytes:
    """The message of these fields."""
    parts: list[bytes] = []
    for field in content:
        parts.append(_as_varint(field.number << 3 | field.wire))
        if isinstance(field.value, int):
            parts.append(_as_varint(field.value))
        else:
            if field.wire == _BYTES:
                parts.append(_as_varint(len(field.value)))
            parts.append(field.value)
    return b"".join(parts)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content) and shift < 64:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise MessageBroken("a number is cut off")


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
