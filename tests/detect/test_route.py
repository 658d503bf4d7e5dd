"""The routing oracle: rule by rule, and against the real broker."""

from __future__ import annotations

import asyncio
import random

import aio_pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strayline_collector.detect.route import Binding, Exchange, Topology, route, topic_matches


def topology(
    *bindings: Binding, exchanges: tuple[Exchange, ...] = (), queues: tuple[str, ...] = ()
) -> Topology:
    return Topology.of(exchanges, queues, bindings)


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("a.*.c", "a.b.c", True), ("a.*.c", "a.c", False), ("#", "", True), ("#", "a.b", True), ("a.#", "a", True),
        ("a.#.b", "a.b", True), ("a.#.b", "a.x.y.b", True), ("*", "", True), ("*.#", "", True), ("#.#", "a", True), ("*", "a.b", False),
    ],
)  # fmt: skip
def test_topic_rules(pattern: str, key: str, expected: bool) -> None:
    assert topic_matches(pattern.split("."), key.split(".")) is expected


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), max_size=6),
    st.lists(st.sampled_from(["a", "b"]), max_size=6),
)
def test_topic_matching_is_the_regular_expression_it_stands_for(
    pattern: list[str], words: list[str]
) -> None:
    def matches(p: list[str], w: list[str]) -> bool:
        if not p:
            return not w
        if p[0] == "#":
            return matches(p[1:], w) or bool(w and matches(p, w[1:]))
        return bool(w) and p[0] in ("*", w[0]) and matches(p[1:], w[1:])

    assert topic_matches(pattern, words) is matches(pattern, words)


def test_the_default_exchange_reaches_only_queues_that_exist() -> None:
    assert route(topology(queues=("q",)), "", "q").queues == {"q"}
    assert route(topology(queues=("q",)), "", "p").queues == frozenset()


def test_exchange_to_exchange_and_alternate_exchanges_are_followed_and_circles_end() -> None:
    known = topology(
        Binding("a", "b", "exchange", "k"),
        Binding("b", "a", "exchange", "k"),
        Binding("b", "q", "queue", "k"),
        Binding("alt", "rest", "queue", ""),
        exchanges=(
            Exchange("a", "direct", alternate="alt"),
            Exchange("b", "direct"),
            Exchange("alt", "fanout"),
        ),
    )
    assert route(known, "a", "k").queues == {"q"}
    other = route(known, "a", "other")
    assert (other.queues, other.alternate) == ({"rest"}, True)


@pytest.mark.parametrize(
    ("mode", "headers", "expected"),
    [
        ("all", {"n": 1, "s": "x"}, True), ("all", {"n": 1}, False), ("all", {"n": True, "s": "x"}, False),
        ("any", {"n": 1}, True), ("any", {"n": "1"}, False), ("any", {}, False),
    ],
)  # fmt: skip
def test_headers_are_matched_by_type_and_value(
    mode: str, headers: dict[str, object], expected: bool
) -> None:
    wanted = {"x-match": mode, "n": 1, "s": "x"}
    known = topology(Binding("h", "q", "queue", "", wanted), exchanges=(Exchange("h", "headers"),))
    assert (route(known, "h", "", headers).queues == {"q"}) is expected


def test_what_was_not_recorded_is_unknown_and_never_a_guess() -> None:
    known = topology(
        Binding("h", "q", "queue", "", {"n": 1}), exchanges=(Exchange("h", "headers"),)
    )
    assert route(known, "h", "", None).unknown is not None
    assert route(topology(), "never.declared", "k").unknown is not None


@pytest.mark.broker
def test_a_real_broker_routes_the_same(vhost: str) -> None:
    """Sixty generated keys through topic, direct, fanout and exchange-to-exchange bindings."""
    rng = random.Random(4)
    words = ("a", "b", "c")
    exchanges = [
        Exchange("t", "topic", alternate="rest"),
        Exchange("d", "direct"),
        Exchange("f", "fanout"),
        Exchange("rest", "fanout"),
    ]
    queues = [f"q{i}" for i in range(5)]
    bindings = [
        Binding("rest", "q0", "queue", ""),
        Binding("t", "d", "exchange", "a.#"),
        Binding("d", "f", "exchange", "a.b"),
    ]
    for _ in range(12):
        pattern = ".".join(rng.choice((*words, "*", "#")) for _ in range(rng.randint(1, 3)))
        bindings.append(Binding(rng.choice(("t", "d", "f")), rng.choice(queues), "queue", pattern))
    messages = [
        (rng.choice(("t", "d", "f")), ".".join(rng.choice(words) for _ in range(rng.randint(1, 3))))
        for _ in range(60)
    ]
    known = Topology.of(exchanges, queues, bindings)

    async def broker_says() -> list[frozenset[str]]:
        connection = await aio_pika.connect(vhost)
        async with connection:
            channel = await connection.channel()
            made = {}
            for exchange in reversed(exchanges):
                arguments = (
                    {"alternate-exchange": exchange.alternate} if exchange.alternate else None
                )
                made[exchange.name] = await channel.declare_exchange(
                    exchange.name, exchange.type or "", arguments=arguments
                )
            places = {name: await channel.declare_queue(name) for name in queues}
            for b in bindings:
                target = (
                    places[b.destination] if b.destination_kind == "queue" else made[b.destination]
                )
                await target.bind(b.source, b.routing_key)
            found: list[frozenset[str]] = []
            for exchange, key in messages:
                await made[exchange].publish(aio_pika.Message(b"x"), key)
                got = set()
                for name, queue in places.items():
                    message = await queue.get(fail=False, no_ack=True)
                    if message is not None:
                        got.add(name)
                found.append(frozenset(got))
            return found

    said = asyncio.run(broker_says())
    assert [route(known, exchange, key).queues for exchange, key in messages] == said
