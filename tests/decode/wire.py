"""Protobuf's wire, written by hand: what no library would send."""

from __future__ import annotations


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def number(field: int, value: int) -> bytes:
    return tag(field, 0) + varint(value)


def block(field: int, *parts: bytes) -> bytes:
    """A field of bytes: text, or a message of these fields."""
    body = b"".join(parts)
    return tag(field, 2) + varint(len(body)) + body


def group(field: int, *parts: bytes) -> bytes:
    return tag(field, 3) + b"".join(parts) + tag(field, 4)


IDS = block(1, b"\x01" * 16) + block(2, b"\x02" * 8)


def span(*parts: bytes) -> bytes:
    """A request with one span of valid ids and these fields."""
    return block(1, block(2, block(2, IDS, *parts)))


def attribute(key: bytes, *value: bytes) -> bytes:
    return block(9, block(1, key), block(2, *value))


def nested(levels: int, inner: bytes = b"") -> bytes:
    """An ``AnyValue`` that is an array of an array of …"""
    for _ in range(levels):
        inner = block(5, block(1, inner))
    return inner
