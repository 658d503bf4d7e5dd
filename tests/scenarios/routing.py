"""Messages that went nowhere, or to the wrong queue (docs/messages.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.scenarios.log import Expected, Fact, Truth, ids, only
from tests.scenarios.play import Got, Play, one_by_one
from tests.scenarios.scenario import Scenario

CONTRACT = """
asyncapi: 3.0.0
info: {title: The shop, version: '1'}
channels:
  created:
    address: order.created
    bindings: {amqp: {is: routingKey, exchange: {name: contracted, type: topic}}}
    messages: {created: {$ref: '#/components/messages/created'}}
  paid:
    address: order.paid
    bindings: {amqp: {is: routingKey, exchange: {name: contracted, type: topic}}}
    messages: {paid: {$ref: '#/components/messages/paid'}}
  billing:
    address: contracted.billing
    bindings: {amqp: {is: queue}}
    messages: {created: {$ref: '#/components/messages/created'}}
  shipping:
    address: contracted.shipping
    bindings: {amqp: {is: queue}}
    messages: {paid: {$ref: '#/components/messages/paid'}}
components:
  messages: {created: {}, paid: {}}
"""
"""What the collector is told of the scenario ``contract``, and of no other."""


async def bound(play: Play, channel: Any, queue: str, *keys: str, exchange: str = "events") -> None:
    """A topic exchange and a durable queue that has these keys, consumed one by one."""
    await channel.declare_exchange(exchange, "topic", durable=True)
    declared = await channel.declare_queue(queue, durable=True)
    for key in keys:
        await declared.bind(exchange, key)
    await play.consume(await play.channel(1), queue, one_by_one(play))


def arrived(
    verdict: str, severity: str, queue: str, key: str, exchange: str = "events"
) -> Callable[[Sequence[Fact]], Truth]:
    """What was published by ``key`` and handled in ``queue``."""

    def truth(facts: Sequence[Fact]) -> Truth:
        sent = ids(f for f in only(facts, "publish") if f.place == f"{exchange}/{key}")
        came = ids(f for f in only(facts, "handle") if f.place == queue)
        return {Expected("misrouted", verdict, "", severity, queue): sent & came}

    return truth


# -- unroutable


async def misspelt(play: Play, *keys: str) -> None:
    channel = await play.channel()
    await bound(play, channel, "work", "order.created")
    await play.publish(channel, "order.created", "m0", "m1", "m2", exchange="events")
    for number, key in enumerate(keys):
        await play.publish(channel, key, f"n{number}", exchange="events")
    await play.until(lambda: play.written["ack"] + play.count("returned") == 3 + len(keys))


async def unroutable(play: Play) -> None:
    await misspelt(play, "order.craeted", "order.craeted")


async def unroutable_healthy(play: Play) -> None:
    await misspelt(play, "order.created", "order.created")


def returned(severity: str) -> Callable[[Sequence[Fact]], Truth]:
    def truth(facts: Sequence[Fact]) -> Truth:
        found = only(facts, "returned")
        return {
            Expected("unroutable", "", "", severity, place): ids(
                f for f in found if f.place == place
            )
            for place in {f.place for f in found}
        }

    return truth


async def nobody_subscribed(play: Play) -> None:
    channel = await play.channel()
    await channel.declare_exchange("events", "topic", durable=True)
    await play.publish(channel, "order.created", "m0", "m1", exchange="events")


# -- unroutable: alternate: what nothing is bound for is kept aside


async def kept_aside(play: Play, *keys: str) -> None:
    channel = await play.channel()
    aside = await channel.declare_exchange("unrouted", "fanout", durable=True)
    rest = await channel.declare_queue("rest", durable=True)
    await rest.bind(aside)
    ways: dict[str, Any] = {"alternate-exchange": "unrouted"}
    await channel.declare_exchange("events", "topic", durable=True, arguments=ways)
    await (await channel.declare_queue("work", durable=True)).bind("events", "order.created")
    for queue in ("work", "rest"):
        await play.consume(await play.channel(1), queue, one_by_one(play))
    await play.publish(channel, "order.created", "m0", "m1", exchange="events")
    for number, key in enumerate(keys):
        await play.publish(channel, key, f"n{number}", exchange="events")
    await play.times("ack", 2 + len(keys))


async def alternate(play: Play) -> None:
    await kept_aside(play, "order.craeted", "order.craeted")


async def alternate_healthy(play: Play) -> None:
    await kept_aside(play, "order.created", "order.created")


async def unbound(play: Play, *taken_away: str) -> None:
    """The key had a queue, until its owner took the binding away."""
    channel = await play.channel()
    aside = await channel.declare_exchange("unrouted", "fanout", durable=True)
    await (await channel.declare_queue("rest", durable=True)).bind(aside)
    ways: dict[str, Any] = {"alternate-exchange": "unrouted"}
    await channel.declare_exchange("events", "direct", durable=True, arguments=ways)
    work = await channel.declare_queue("work", durable=True)
    for key in ("order.created", "order.paid"):
        await work.bind("events", key)
    for queue in ("work", "rest"):
        await play.consume(await play.channel(1), queue, one_by_one(play))
    await play.publish(channel, "order.created", "m0", exchange="events")
    await play.times("ack", 1)
    for key in taken_away:
        await work.unbind("events", key)
    await play.publish(channel, "order.created", "m1", exchange="events")
    await play.publish(channel, "order.paid", "m2", exchange="events")
    await play.times("ack", 3)


async def alternate_since(play: Play) -> None:
    await unbound(play, "order.created")


async def alternate_since_healthy(play: Play) -> None:
    await unbound(play)


def alternate_truth(facts: Sequence[Fact]) -> Truth:
    aside = ids(f for f in only(facts, "handle") if f.place == "rest")
    elsewhere = ids(f for f in only(facts, "handle", "returned") if f.place != "rest")
    return {
        Expected("unroutable", "alternate", "", "info", place): aside & sent - elsewhere
        for place in {f.place for f in only(facts, "publish")}
        for sent in [ids(f for f in only(facts, "publish") if f.place == place)]
    }


def alternate_since_truth(facts: Sequence[Fact]) -> Truth:
    aside = ids(f for f in only(facts, "handle") if f.place == "rest")
    return {Expected("unroutable", "alternate", "", "info", "events/order.created"): aside}


# -- stale_binding: an older release bound it, nobody removed it


async def left_behind(play: Play, *keys: str) -> None:
    channel = await play.channel()
    await bound(play, channel, "work", "order.created", *keys)
    if not keys:
        old = {"routing_key": "order.updated", "arguments": {}}
        await play.broker("POST", "/bindings/{vhost}/e/events/q/work", old)
    await play.publish(channel, "order.created", "m0", "m1", exchange="events")
    await play.publish(channel, "order.updated", "m2", "m3", exchange="events")
    await play.times("ack", 4)


async def stale_binding(play: Play) -> None:
    await left_behind(play)


async def stale_binding_healthy(play: Play) -> None:
    await left_behind(play, "order.updated")


# -- headers decide, by value and type; another channel than the one that declared the exchange publishes


async def by_headers(play: Play, *messages: tuple[str, dict[str, Any]], left: bool) -> None:
    channel = await play.channel()
    await channel.declare_exchange("kinds", "headers", durable=True)
    queue = await channel.declare_queue("work", durable=True)
    await queue.bind("kinds", "", arguments={"x-match": "all", "vip": True})
    if left:
        old = {"routing_key": "", "arguments": {"x-match": "any", "old": "yes"}}
        await play.broker("POST", "/bindings/{vhost}/e/kinds/q/work", old)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    other = await play.channel()
    for name, headers in messages:
        await play.publish(other, "", name, exchange="kinds", headers=headers)
    await play.until(lambda: play.written["ack"] + play.count("returned") == len(messages))


async def headers(play: Play) -> None:
    """m1 comes by the old binding alone; 1 and the text are not true."""
    await by_headers(
        play, ("m0", {"vip": True}), ("m1", {"old": "yes"}), ("m2", {"vip": True, "old": "yes"}),
        ("n0", {"vip": 1}), ("n1", {"vip": "true"}), left=True,
    )  # fmt: skip


async def headers_healthy(play: Play) -> None:
    await by_headers(play, ("m0", {"vip": True}), ("m1", {"vip": True, "old": "yes"}), left=False)


def headers_truth(facts: Sequence[Fact]) -> Truth:
    came = ids(only(facts, "handle"))
    return {
        Expected("misrouted", "stale_binding", "", "warning", "work"): came & {"m1"},
        Expected("unroutable", "", "", "warning", "kinds/"): ids(only(facts, "returned")),
    }


# -- contract: a binding wider than what the queue is for


async def wide(play: Play, key: str) -> None:
    channel = await play.channel()
    await bound(play, channel, "contracted.billing", key, exchange="contracted")
    await bound(play, channel, "contracted.shipping", "order.paid", exchange="contracted")
    await play.publish(channel, "order.created", "m0", "m1", exchange="contracted")
    await play.publish(channel, "order.paid", "m2", "m3", exchange="contracted")
    await play.times("ack", 6 if key == "order.#" else 4)


async def contract(play: Play) -> None:
    await wide(play, "order.#")


async def contract_healthy(play: Play) -> None:
    await wide(play, "order.created")


# -- outlier: some of a kind are published by another kind's key


async def kinds(play: Play, prefix: str, wrong: int) -> None:
    channel = await play.channel()
    await bound(play, channel, "billing", "order.created")
    await bound(play, channel, "shipping", "order.paid")
    for number in range(40):
        key = "order.paid" if number < wrong else "order.created"
        created, paid = f"{prefix}.created", f"{prefix}.paid"
        await play.publish(channel, key, f"c{number}", exchange="events", type=created)
        await play.publish(channel, "order.paid", f"p{number}", exchange="events", type=paid)
    await play.times("ack", 80)


async def outlier(play: Play) -> None:
    await kinds(play, "mixed", 2)


async def outlier_healthy(play: Play) -> None:
    await kinds(play, "kept", 0)


def outlier_truth(facts: Sequence[Fact]) -> Truth:
    came = ids(f for f in only(facts, "handle") if f.place == "shipping")
    strayed = frozenset(name for name in came if name.startswith("c"))
    return {Expected("misrouted", "outlier", "", "warning", "shipping"): strayed}


# -- refused: a consumer never succeeds with what another queue's consumer takes


async def refuses(play: Play, *refused: str) -> None:
    channel = await play.channel()
    await channel.declare_exchange("events", "topic", durable=True)
    work = await channel.declare_queue("work", durable=True)
    for key in ("order.created", "order.paid"):
        await work.bind("events", key)
    await bound(play, channel, "shipping", "order.paid")

    async def handle(got: Got) -> None:
        if got.raw.routing_key in refused:
            await got.drop()
        else:
            await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "order.created", "m0", "m1", "m2", exchange="events")
    await play.publish(channel, "order.paid", "m3", "m4", "m5", exchange="events")
    await play.until(lambda: play.written["ack"] + play.written["drop"] == 9)


async def refused(play: Play) -> None:
    await refuses(play, "order.paid")


async def refused_healthy(play: Play) -> None:
    await refuses(play)


def refused_truth(facts: Sequence[Fact]) -> Truth:
    """Rejected where no dead-letter exchange follows, their copies there are gone too."""
    dropped = ids(only(facts, "drop"))
    return {
        Expected("misrouted", "refused", "", "warning", "work"): dropped,
        Expected("lost", "", "discarded", "warning", "work"): dropped,
    }


ROUTING = (
    Scenario("unroutable", unroutable, unroutable_healthy, returned("warning")),
    Scenario("nobody_subscribed", nobody_subscribed, unroutable_healthy, returned("info")),
    Scenario("alternate", alternate, alternate_healthy, alternate_truth),
    Scenario("alternate_since", alternate_since, alternate_since_healthy, alternate_since_truth),
    Scenario("headers", headers, headers_healthy, headers_truth),
    Scenario("stale_binding", stale_binding, stale_binding_healthy, arrived("stale_binding", "warning", "work", "order.updated")),
    Scenario("contract", contract, contract_healthy, arrived("contract", "error", "contracted.billing", "order.paid", "contracted")),
    Scenario("outlier", outlier, outlier_healthy, outlier_truth),
    Scenario("refused", refused, refused_healthy, refused_truth),
)  # fmt: skip
