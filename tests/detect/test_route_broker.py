"""The routing oracle against a real broker: what it says and where messages come to rest are equal,
every time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import aiormq
import pytest
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from demo_services.broker import Broker
from strayline_collector.detect.route import Binding, Exchange, Topology, route
from tests.detect.topologies import World, world

pytestmark = pytest.mark.broker

PER_WORLD = 25
SETTLE_S = 5.0


def test_five_hundred_messages_rest_where_the_oracle_says(vhost: str, broker: Broker) -> None:
    compare(vhost, broker, seed=1, worlds=20)


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_five_thousand_messages_rest_where_the_oracle_says(vhost: str, broker: Broker) -> None:
    compare(vhost, broker, seed=2, worlds=200)


def compare(vhost: str, broker: Broker, *, seed: int, worlds: int) -> None:
    rng = random.Random(seed)
    drawn = [world(rng, f"w{i}", PER_WORLD) for i in range(worlds)]
    wrong: list[object] = []

    async def run() -> None:
        connection = await aiormq.connect(vhost)
        for one in drawn:
            channel = await connection.channel()
            await declare(channel, one, broker, vhost.rsplit("/", 1)[1])
            expected = [one.rests(sent) for sent in one.messages]
            actual = await publish_and_collect(channel, one, sum(sum(e.values()) for e in expected))
            wrong.extend(
                (one.prefix, sent, dict(says), dict(did))
                for sent, says, did in zip(one.messages, expected, actual, strict=True)
                if says != did
            )
            await remove(channel, one)
        await connection.close()

    asyncio.run(run())
    assert wrong == []


async def declare(channel: AbstractChannel, one: World, broker: Broker, vhost: str) -> None:
    for policy in one.policies:  # before what they apply to, so that it is born with them
        broker.api(
            "PUT",
            f"/policies/{vhost}/{policy.name}",
            {
                "pattern": policy.pattern,
                "definition": policy.definition,
                "priority": policy.priority,
                "apply-to": policy.apply_to,
            },
        )
    for exchange in one.exchanges:
        await channel.exchange_declare(
            exchange.name,
            exchange_type=exchange.type or "",
            internal=exchange.internal,
            arguments=dict(exchange.arguments),
        )
    for queue in one.queues:
        await channel.queue_declare(queue.name, arguments=dict(queue.arguments))
    for b in one.bindings:
        if b.destination_kind == "queue":
            await channel.queue_bind(
                b.destination, b.source, b.routing_key, arguments=dict(b.arguments)
            )
        else:
            await channel.exchange_bind(
                destination=b.destination,
                source=b.source,
                routing_key=b.routing_key,
                arguments=dict(b.arguments),
            )


async def publish_and_collect(
    channel: AbstractChannel, one: World, count: int
) -> list[Counter[str]]:
    """Publishes every message and empties the queues until ``count`` came, then once more."""
    await asyncio.gather(
        *(
            channel.basic_publish(
                b"",
                exchange=sent.exchange,
                routing_key=sent.key,
                properties=Basic.Properties(message_id=str(i), headers=dict(sent.headers)),
            )
            for i, sent in enumerate(one.messages)
        )
    )
    found: list[Counter[str]] = [Counter() for _ in one.messages]
    got, deadline, idle = 0, asyncio.get_running_loop().time() + SETTLE_S, 0
    while idle < 2 and asyncio.get_running_loop().time() < deadline:
        came = 0
        for queue in one.queues:
            while (taken := await take(channel, queue.name, one)) is not None:
                found[taken[0]][queue.name] += taken[1]
                came += taken[1]
        got += came
        idle = 0 if came or got < count else idle + 1
    return found


async def take(channel: AbstractChannel, queue: str, one: World) -> tuple[int, int] | None:
    """One message of a queue: its number, and 1 where it rests, 0 where it is rejected."""
    message = await channel.basic_get(queue)
    tag = getattr(message.delivery, "delivery_tag", None)
    if tag is None:
        return None
    properties = message.header.properties
    deaths = (properties.headers or {}).get("x-death")
    before = isinstance(deaths, list) and any(
        isinstance(d, dict) and d.get("queue") == queue for d in deaths
    )
    number = int(properties.message_id)
    if one.kills.get(queue) == "rejected" and not before:
        await channel.basic_reject(tag, requeue=False)
        return number, 0
    await channel.basic_ack(tag)
    return number, 1


async def remove(channel: AbstractChannel, one: World) -> None:
    for queue in one.queues:
        await channel.queue_delete(queue.name)
    for exchange in one.exchanges:
        await channel.exchange_delete(exchange.name)


@pytest.mark.parametrize("kind", ["x-consistent-hash", "x-random"])
def test_exchanges_that_pick_one_queue_pick_one_of_those_named(vhost: str, kind: str) -> None:
    bindings = [Binding("c", f"q{i}", "queue", str(i + 1)) for i in range(3)]
    bindings += [Binding("in", "c", "exchange", "#"), Binding("in", "all", "queue", "#")]
    known = Topology.of(
        [Exchange("c", kind), Exchange("in", "topic")],
        ["q0", "q1", "q2", "all"],
        bindings,
        complete=True,
    )

    async def run() -> list[frozenset[str]]:
        connection = await aiormq.connect(vhost)
        channel = await connection.channel()
        try:
            for exchange in known.exchanges.values():
                await channel.exchange_declare(exchange.name, exchange_type=exchange.type or "")
        except aiormq.exceptions.AMQPError:
            pytest.skip(f"this broker has no {kind}")
        for queue in known.queues:
            await channel.queue_declare(queue)
        for b in bindings:
            if b.destination_kind == "queue":
                await channel.queue_bind(b.destination, b.source, b.routing_key)
            else:
                await channel.exchange_bind(
                    destination=b.destination, source=b.source, routing_key=b.routing_key
                )
        found: list[set[str]] = [set() for _ in range(40)]
        for i in range(40):
            await channel.basic_publish(
                b"",
                exchange="in",
                routing_key=f"k{i}",
                properties=Basic.Properties(message_id=str(i)),
            )
        for queue in known.queues:
            while (message := await channel.basic_get(queue, no_ack=True)) and getattr(
                message.delivery, "delivery_tag", None
            ) is not None:
                found[int(message.header.properties.message_id)].add(queue)
        await connection.close()
        return [frozenset(names) for names in found]

    said = asyncio.run(run())
    for i, queues in enumerate(said):
        answer = route(known, "in", f"k{i}")
        assert answer.one_of
        assert queues in answer.outcomes
        assert answer.certain == {"all"}
