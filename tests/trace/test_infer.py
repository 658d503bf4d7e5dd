"""Lost contexts are guessed well where that can be done, with honest probabilities where it cannot,
and nothing is guessed where nothing was lost."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.ends import End
from strayline_collector.trace.infer import Proposal, infer
from strayline_collector.trace.spans import CLIENT, CONSUMER, PRODUCER, SERVER, TreeSpan
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.turns import in_turn, worth
from tests.support.broken import Broken, broken, shop_traffic
from tests.support.rounds import rounds

MS = 1_000_000


def accuracy(given_: Broken, found: list[Proposal]) -> float:
    right = sum(given_.truth.get(one.child) == one.parent for one in found)
    return right / len(given_.truth)


@pytest.mark.parametrize(
    ("concurrency", "share", "ids", "least"),
    [(1, 1.0, False, 0.99), (4, 1.0, False, 0.93), (4, 0.3, False, 0.97), (16, 0.3, False, 0.9), (16, 1.0, True, 0.98)],
)  # fmt: skip
def test_lost_contexts_are_found_again(
    concurrency: int, share: float, ids: bool, least: float
) -> None:
    shop = broken(shop_traffic(120, concurrency, ids=ids), share)
    found = infer(shop.orphans, shop.causes, shop.known)
    assert accuracy(shop, found) >= least
    assert {one.child for one in found} <= set(shop.truth)  # an entry has no cause


def test_a_probability_is_what_it_says() -> None:
    right, told = Counter[int](), Counter[int]()
    for concurrency, unheard in ((4, 0.0), (4, 0.1), (16, 0.0), (64, 0.0)):
        shop = broken(shop_traffic(150, concurrency), 0.5, unheard=unheard)
        for one in infer(shop.orphans, shop.causes, shop.known):
            at = min(4, int(one.probability * 5))
            told[at] += 1
            right[at] += shop.truth.get(one.child) == one.parent
    assert right[4] / told[4] > 0.93
    for at in range(1, 4):
        assert told[at] < 10 or abs(right[at] / told[at] - (at + 0.5) / 5) < 0.25


@settings(max_examples=rounds(10), deadline=None)
@given(st.integers(1, 10_000), st.sampled_from([1, 4, 16]), st.booleans())
def test_where_nothing_is_lost_nothing_is_proposed(seed: int, concurrency: int, ids: bool) -> None:
    shop = broken(shop_traffic(15, concurrency, seed=seed, ids=ids), 0.0)
    assert infer(shop.orphans, shop.causes, shop.known) == []


@settings(max_examples=rounds(6), deadline=None)
@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_order_of_arrival_changes_nothing(seed: int, shuffle: int) -> None:
    shop = broken(shop_traffic(15, 4, seed=seed), 0.5, unheard=0.1)
    once = infer(shop.orphans, shop.causes, shop.known)
    chance = random.Random(shuffle)
    for ends in (shop.orphans, shop.causes, shop.known):
        chance.shuffle(ends)
    assert infer(shop.orphans, shop.causes, shop.known) == once


def end(name: str, kind: int, start_ms: float, end_ms: float, trace: str = "", **facts: str) -> End:
    """An end of a trace of its own unless ``trace`` names one; its clock is one for all."""
    span = TreeSpan(
        SpanKey(trace or f"t-{name}", name), None, (), round(start_ms * MS), round(end_ms * MS),
        kind=kind, clock="host",
    )  # fmt: skip
    protocol = "http" if kind in (CLIENT, SERVER) else "amqp"
    return End(span, name.rstrip("0123456789"), protocol, facts)


def test_the_reasons_are_told() -> None:
    facts = {"path": "/stock/7", "method": "GET"}
    call, served = end("shop", CLIENT, 0, 20, **facts), end("stock", SERVER, 1, 18, **facts)
    (one,) = infer([served], [call], [])
    assert (one.child, one.parent) == (served.span.key, call.span.key)
    assert one.probability > 0.9
    assert [(why.kind, why.text) for why in one.evidence] == [
        ("time", "begins 1.0 ms after the call, ends 2.0 ms before it"),
        ("same", "method GET"),
        ("same", "path /stock/7"),
    ]


def test_what_contradicts_is_never_paired() -> None:
    call = end("shop", CLIENT, 0, 20, path="/stock/7", method="GET", address="stock:80")
    for other in (
        end("stock", SERVER, 1, 18, path="/stock/8", method="GET"),
        end("stock", SERVER, 1, 18, path="/stock/7", method="PUT"),
        end("stock", SERVER, 1, 18, path="/stock/7", method="GET", address="other:80"),
        end("stock", SERVER, 40, 50, path="/stock/7", method="GET"),
        end("stock", SERVER, 1, 18, trace="t-shop", path="/stock/7", method="GET"),
        end("stock", SERVER, 1, 18),
    ):
        assert infer([other], [call], []) == []
    sent = end("shop", PRODUCER, 0, 1, exchange="x", routing_key="k", message_id="1")
    handled = end("mail", CONSUMER, 2, 3, exchange="x", routing_key="k", message_id="2")
    assert infer([handled], [sent], []) == []


def test_a_message_lost_in_a_queue_shifts_its_followers_only_until_it_is_idle() -> None:
    """Ten messages a second apart wait 2 ms; the delivery of the third was never told."""
    deliveries = [n for n in range(10) if n != 2]
    told = [{m: worth(((n - m) * 1000 + 2) * MS, 1.0) for m in range(n + 1)} for n in deliveries]
    turns = in_turn(told)
    assert turns == deliveries


def test_a_long_queue_gives_out_what_came_first() -> None:
    """A hundred messages at once, one handled each 10 ms."""
    told = [{m: worth((n + 1) * 10 * MS, 1.0) for m in range(100)} for n in range(100)]
    assert in_turn(told) == list(range(100))
