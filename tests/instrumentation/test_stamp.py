"""The stamp's grammar, its fingerprint, and what it counts."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strayline.stamp import MAX_LENGTH, Stamp, Stamper, fingerprint, parse

numbers = st.integers(1, 10**18 - 1)
hexes = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(hexes, numbers, numbers, st.none() | st.tuples(st.just("0a1b2c3d"), numbers))
def test_a_stamp_survives_its_own_text(
    epoch: str, channel: int, n: int, key: tuple[str, int] | None
) -> None:
    stamp = Stamp(epoch, channel, n, "00ff", *(key or (None, None)))
    assert parse(str(stamp)) == stamp
    assert parse(str(stamp).encode()) == stamp
    assert len(str(stamp)) <= MAX_LENGTH


@pytest.mark.parametrize(
    "text",
    [
        "", "2.0123456789abcdef.1.1.00ff", "1.0123456789abcdef.01.1.00ff", "1.0123456789abcdef.0.1.00ff",
        "1.0123456789ABCDEF.1.1.00ff", "1.0123456789abcdef.1.1.00f", "1.0123456789abcdef.1.1.00ff.aabbccdd",
        "1.0123456789abcdef.1.1.00ff\n", "1.0123456789abcdef." + "9" * 19 + ".1.00ff", "x" * 10_000_000,
    ],
)  # fmt: skip
def test_anything_else_is_no_stamp(text: str) -> None:
    assert parse(text) is None


@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.binary(),
        st.lists(st.integers()),
        st.dictionaries(st.text(), st.text()),
    )
)
def test_header_values_of_any_type_are_survived(value: object) -> None:
    assert parse(value) is None or isinstance(value, bytes)


@given(st.text(), st.text())
def test_the_fingerprint_is_sha256_over_length_prefixed_names(exchange: str, key: str) -> None:
    x, k = (name.encode("utf-8", "surrogatepass") for name in (exchange, key))
    expected = hashlib.sha256(f"{len(x)}:".encode() + x + f"{len(k)}:".encode() + k).hexdigest()[:4]
    assert fingerprint(exchange, key) == expected


def test_keys_count_process_wide_and_channels_are_numbered() -> None:
    stamper = Stamper()
    assert [stamper.channel_number(), stamper.channel_number()] == [1, 2]
    first = stamper.stamp(1, 1, "x", "k", "order-1")
    second = stamper.stamp(2, 1, "x", "k", "order-1")
    other = stamper.stamp(1, 2, "x", "k", "order-2")
    assert (first.k, second.k, other.k) == (1, 2, 1)
    assert first.key == second.key != other.key


def test_a_forked_child_has_an_epoch_of_its_own() -> None:
    from strayline.stamp import stamper

    before = stamper.epoch
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os.write(write, stamper.epoch.encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 64).decode()
    os.close(read)
    os.close(write)
    assert theirs != before
    assert stamper.epoch == before
