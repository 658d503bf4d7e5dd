"""The native decoder against the reference: the same tables and counts, ``BadInput`` for the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strayline_collector.decode import python
from strayline_collector.errors import BadInput
from tests.decode.wire import attribute, block, group, nested, number, span, tag, varint
from tests.support.corpus import RECORDINGS, requests
from tests.support.generated import requests as generated
from tests.support.generated import steady

native = pytest.importorskip("strayline_collector.decode.native", exc_type=ImportError)
RECEIVED_NS = 1_795_400_000_000_000_000


def outcome(work: Callable[..., Any], *arguments: Any) -> Any:
    """What it gives; ``BadInput`` itself when it refuses."""
    try:
        return work(*arguments)
    except BadInput:
        return BadInput


def agree(*bodies: bytes) -> Any:
    """Both sides' table, having compared whatever they make of the bodies."""
    for body in bodies:
        assert outcome(native.examine, body) == outcome(python.examine, body)
    ours = outcome(native.decode, bodies, RECEIVED_NS)
    reference = outcome(python.decode, bodies, RECEIVED_NS)
    if ours is BadInput or reference is BadInput:
        assert ours is reference
        return BadInput
    ours.validate(full=True)
    assert ours.schema.equals(reference.schema)
    if not ours.equals(reference):  # unequal doubles would hide here, but no column holds any
        assert ours.to_pylist() == reference.to_pylist()
        raise AssertionError("equal in Python, unequal in Arrow")
    return ours


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_traffic_gives_identical_tables(name: str) -> None:
    assert agree(*requests(name)).num_rows > 1000


def test_steady_traffic_gives_identical_tables() -> None:
    assert agree(steady(), steady(seed=2)).num_rows == 1024


def test_nothing_gives_an_empty_table() -> None:
    assert agree().num_rows == 0
    assert agree(b"").num_rows == 0


slow = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
slower = settings(slow, max_examples=2000)


def check_generated(first: Any, second: Any) -> None:
    agree(first.SerializeToString(), second.SerializeToString())


@slow
@given(generated(), generated())
def test_generated_requests_give_identical_tables(first: Any, second: Any) -> None:
    check_generated(first, second)


@slow
@given(generated(), generated())
def test_concatenated_messages_are_merged_alike(first: Any, second: Any) -> None:
    """At each level: resource spans, resources, scopes, status and values come in two parts."""
    one, two = (request.SerializeToString() for request in (first, second))
    agree(one + two)
    inner = [part for part in (_first(one), _first(two)) if part]
    agree(block(1, *inner))
    agree(block(1, block(1, *(_first(part) for part in inner)), *inner))


def _first(message: bytes) -> bytes:
    """The content of the first field, when that is one of bytes."""
    if not message or message[0] & 7 != 2:
        return b""
    size = shift = 0
    for at in range(1, len(message)):
        size |= (message[at] & 0x7F) << shift
        shift += 7
        if message[at] < 0x80:
            return message[at + 1 : at + 1 + size]
    return b""


@st.composite
def damage(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(generated()).SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        if not body:
            break
        at = draw(st.integers(0, len(body) - 1))
        kind = draw(st.sampled_from(["flip", "set", "cut", "insert", "delete", "repeat"]))
        if kind == "flip":
            body[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            body[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del body[at:]
        elif kind == "insert":
            body[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "delete":
            del body[at : at + draw(st.integers(1, 4))]
        else:
            body[at:at] = body[max(0, at - draw(st.integers(1, 20))) : at]
    return bytes(body)


@slow
@given(damage())
def test_damaged_requests_are_judged_alike(body: bytes) -> None:
    agree(body)


@pytest.mark.deep
@pytest.mark.timeout(900)
@slower
@given(damage())
def test_damaged_requests_are_judged_alike_for_long(body: bytes) -> None:
    agree(body)


@pytest.mark.deep
@pytest.mark.timeout(900)
@slower
@given(generated(), generated())
def test_generated_requests_give_identical_tables_for_long(first: Any, second: Any) -> None:
    check_generated(first, second)


TAKEN = {
    "an enum below zero": span(number(6, 2**64 - 1)),
    "an enum beyond 32 bits": span(number(6, 2**40 + 3)),
    "an enum that nobody knows": span(number(6, 9), block(15, number(3, 7))),
    "a count beyond 32 bits": span(number(10, 2**40 + 3)),
    "a varint beyond 64 bits": span(tag(10, 0) + b"\xff" * 9 + b"\x7f"),
    "a boolean beyond 32 bits": span(attribute(b"k", number(2, 2**32))),
    "a tag longer than it must be": b"\x8a\x80\x80\x80\x00\x00",
    "a length longer than it must be": b"\x0a\x80\x80\x80\x80\x00",
    "the largest field number": tag(2**29 - 1, 0) + b"\x00",
    "a field of another wire type": span(number(5, 3), number(1, 3), block(10, b"\x01")),
    "unknown fields": span(
        number(900, 5), block(901, b"\xff"), tag(902, 1) + b"8" * 8, tag(903, 5) + b"4" * 4
    ),
    "a group of unknown fields": span(group(99, number(1, 1), group(5, block(3, b"\xff")))),
    "a known field as a group": block(1, group(2, number(1, 1))) + group(1),
    "groups at the limit": span(b"".join(tag(99, 3) for _ in range(97)) + b"".join(tag(99, 4) for _ in range(97))),
    "values at the limit": span(attribute(b"k", nested(47))),
    "a zero byte in a name": span(block(5, b"\x00")),
    "a scalar twice": span(block(5, b"one"), block(5, b"two"), number(6, 1), number(6, 2)),
    "a status in parts": span(block(15, number(3, 2)), block(15, block(2, b"m"))),
    "a value in parts": span(
        block(9, block(1, b"k"), block(2, block(5, block(1, number(3, 1)))), block(2, block(5, block(1, number(3, 2)))))
    ),
    "a member in parts": span(attribute(b"k", block(6, block(1, block(1, b"a"))), block(6, block(1, block(1, b"b"))))),
    "a member replaced": span(attribute(b"k", block(5, block(1, number(3, 1))), number(3, 7), block(5, block(1, number(3, 2))))),
    "a member replaced by an index": span(attribute(b"k", block(1, b"text"), number(8, 1))),
    "a key twice": span(attribute(b"k", number(3, 1)), attribute(b"l", number(3, 2)), attribute(b"k")),
    "a key in many": span(*(attribute(b"k%d" % (n % 40), number(3, n)) for n in range(100))),
    "a resource after its spans": block(1, block(2, block(2, block(1, b"\x01" * 16), block(2, b"\x02" * 8))), block(1, block(1, block(1, b"service.name"), block(2, block(1, b"late"))))),
    "an empty list of attributes in a scope": block(1, block(2, block(1, block(3)), block(2, block(1, b"\x01" * 16), block(2, b"\x02" * 8)))),
    "times past 2116": span(tag(7, 1) + b"\xff" * 8, tag(8, 1) + b"\xff" * 8, block(11, tag(1, 1) + b"\xff" * 8)),
    "a parent of zeros": span(block(4, b"\x00" * 8)),
    "a parent of odd length": span(block(4, b"\x01\x02\x03")),
    "links with odd ids": span(block(13, block(1, b"\x01"), tag(6, 5) + b"\xff" * 4)),
}  # fmt: skip

REFUSED = {
    "text that is not UTF-8": span(block(5, b"\xff")),
    "a surrogate in UTF-8": span(block(5, b"\xed\xa0\x80")),
    "an overlong form": span(block(5, b"\xc0\x80")),
    "past the last code point": span(block(5, b"\xf4\x90\x80\x80")),
    "a sequence cut short": span(block(5, b"longer than a word \xe2\x82")),
    "an entity's key that is not UTF-8": block(1, block(1, block(3, block(3, b"\xff")))),
    "a varint of eleven bytes": span(tag(10, 0) + b"\xff" * 10 + b"\x01"),
    "field number zero": b"\x00\x00",
    "field number zero of bytes": b"\x02\x00",
    "wire type six": bytes([1 << 3 | 6]),
    "wire type seven": bytes([1 << 3 | 7]),
    "a tag beyond 32 bits": b"\xfa\xff\xff\xff\x1f\x00",
    "a tag of six bytes": b"\x8a\x80\x80\x80\x80\x00\x00",
    "a length of six bytes": b"\x0a\x80\x80\x80\x80\x80\x00",
    "a length past the end": b"\x0a\x05abc",
    "a length of 2 GiB": b"\x0a" + varint(2**31),
    "a length of 4 GiB": b"\x0a" + varint(2**32),
    "the end of a group alone": tag(99, 4),
    "a group without end": tag(99, 3),
    "a group with another's end": tag(99, 3) + tag(98, 4),
    "groups beyond the limit": span(b"".join(tag(99, 3) for _ in range(98)) + b"".join(tag(99, 4) for _ in range(98))),
    "values beyond the limit": span(attribute(b"k", nested(48))),
    "values far beyond the limit": span(attribute(b"k", nested(5000))),
    "a fixed number cut short": span(tag(7, 1) + b"1234567"),
    "an unknown fixed number cut short": span(tag(70, 5) + b"123"),
}  # fmt: skip


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN.keys())
def test_odd_requests_are_taken_alike(body: bytes) -> None:
    assert agree(body) is not BadInput


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_broken_requests_are_refused_alike(body: bytes) -> None:
    assert agree(body) is BadInput
    assert agree(steady(2), body) is BadInput


def test_resources_that_would_fill_memory_for_each_span_are_refused_alike() -> None:
    """256 MiB of text in all columns, exactly: control characters take six bytes each."""
    spans = 512
    ids = block(2, block(1, b"\x01" * 16), block(2, b"\x02" * 8))
    text = len('{"attributes":{"k":""}}') + len("unknown_service") + len('{"name":""}')
    size = 2**28 // spans - text
    for filler, refused in ((size, False), (size + 1, True)):
        escaped, plain = divmod(filler, 6)
        value = block(2, block(1, b"\x01" * escaped + b"x" * plain))
        body = block(1, block(1, block(1, block(1, b"k"), value)), block(2, ids * spans))
        assert (outcome(native.examine, body) is BadInput) == refused
        assert outcome(python.examine, body) == outcome(native.examine, body)
    assert outcome(native.decode, [body], 1) is outcome(python.decode, [body], 1) is BadInput


def test_arguments_of_other_types_are_type_errors() -> None:
    decoder: Any = native._decoder
    for call in (
        lambda: decoder.examine("text"),
        lambda: decoder.examine(bytearray(b"")),
        lambda: decoder.decode([b""], 1),
        lambda: decoder.decode((b"", "text"), 1),
        lambda: decoder.decode((b"",), "1"),
        lambda: decoder.from_json(None),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_table_lives_longer_than_the_requests_it_came_from() -> None:
    table = native.decode([steady(3)], RECEIVED_NS)
    column = table.slice(1, 1).column("attributes")
    del table
    assert "app.attribute.9" in column[0].as_py()
