"""Messages that come late: one scenario a cause (docs/messages.md, section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.scenarios.log import Expected, Fact, Truth, ids, late, only, overtaken
from tests.scenarios.play import Got, Play, Relay, headers_of, one_by_one
from tests.scenarios.scenario import Scenario

QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 3}
NAMES = ("m0", "m1", "m2", "m3", "m4", "m5")


async def work(play: Play, **arguments: Any) -> Any:
    """A publishing channel, and a queue ``work``."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True, arguments=arguments)
    return channel


# -- requeue: given back, it comes after what had been fetched


async def gives_back(play: Play, prefetch: int, **arguments: Any) -> None:
    await play.publish(await work(play, **arguments), "work", *NAMES)

    async def handle(got: Got) -> None:
        if got.id == "m1" and not got.raw.redelivered:
            await got.requeue()
        else:
            await got.ack()

    await play.consume(await play.channel(prefetch), "work", handle)
    await play.times("ack", len(NAMES))


async def requeue(play: Play) -> None:
    await gives_back(play, 10)


async def requeue_healthy(play: Play) -> None:
    """One at a time, a classic queue puts it back in its place."""
    await gives_back(play, 1)


async def quorum_requeue(play: Play) -> None:
    await gives_back(play, 10, **QUORUM)


async def quorum_requeue_healthy(play: Play) -> None:
    await gives_back(play, 1, **QUORUM)


async def recovers(play: Play, *settled: str) -> None:
    """``basic.recover`` gives back all that is not settled, when the last has come."""
    await play.publish(await work(play), "work", *NAMES)
    channel = await play.channel(len(NAMES))

    async def handle(got: Got) -> None:
        if got.raw.redelivered or got.id in settled:
            await got.ack()
        if got.id == NAMES[-1] and not got.raw.redelivered:
            play.log.write("recover")
            raw = await channel.get_underlay_channel()
            await raw.basic_recover(requeue=True)

    await play.consume(channel, "work", handle)
    await play.times("ack", len(NAMES))


async def recover(play: Play) -> None:
    await recovers(play, "m3", "m4", "m5")


async def recover_healthy(play: Play) -> None:
    await recovers(play, "m0", "m1", "m2")


# -- channel_closed: a consumer ends with messages in hand


async def hold_and_close(play: Play, *, meanwhile: bool) -> None:
    await play.publish(await work(play), "work", *NAMES)
    first = await play.channel(3)

    async def hold(got: Got) -> None:
        pass

    await play.consume(first, "work", hold)
    await play.times("handle", 3)
    if meanwhile:
        await play.consume(await play.channel(1), "work", one_by_one(play))
        await play.times("ack", 3)
        await play.close(first)
    else:
        await play.close(first)
        await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", len(NAMES))


async def channel_closed(play: Play) -> None:
    await hold_and_close(play, meanwhile=True)


async def channel_closed_healthy(play: Play) -> None:
    await hold_and_close(play, meanwhile=False)


async def killed(play: Play) -> None:
    """What it had taken before was told of: its channel is known, and when it took its last."""
    await play.publish(await work(play), "work", *NAMES)
    async with play.holder("work", 3, settles=1) as kill:
        await play.consume(await play.channel(1), "work", one_by_one(play))
        await play.times("ack", 2)
        await kill()
        await play.times("ack", len(NAMES) - 1)


async def killed_healthy(play: Play) -> None:
    await play.publish(await work(play), "work", *NAMES)
    async with play.holder("work", 5, settles=1) as kill:
        await play.consume(await play.channel(1), "work", one_by_one(play))
        await kill()
        await play.times("ack", len(NAMES) - 1)


async def unseen(play: Play) -> None:
    """Killed before it could tell of anything: who took them first is not known."""
    await play.publish(await work(play), "work", *NAMES)
    async with play.holder("work", 3) as kill:
        await play.consume(await play.channel(1), "work", one_by_one(play))
        await play.times("ack", 3)
        await kill()
        await play.times("ack", len(NAMES))


async def unseen_healthy(play: Play) -> None:
    await play.publish(await work(play), "work", *NAMES)
    async with play.holder("work", 6) as kill:
        await play.consume(await play.channel(1), "work", one_by_one(play))
        await kill()
        await play.times("ack", len(NAMES))


# -- failover: a queue's single active consumer ends


async def fails_over(play: Play, *acked: str) -> None:
    channel = await work(play, **{"x-single-active-consumer": True})
    await play.publish(channel, "work", *NAMES)
    first = await play.channel(3)

    async def some(got: Got) -> None:
        if got.id in acked:
            await got.ack()

    await play.consume(first, "work", some)
    await play.times("ack", len(acked))
    await play.times("handle", 3 + len(acked))
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.close(first)
    await play.times("ack", len(NAMES))


async def failover(play: Play) -> None:
    await fails_over(play, "m1", "m2")


async def failover_healthy(play: Play) -> None:
    await fails_over(play, "m0", "m1")


# -- dead_letter_retry: rejected, it waits in a retry queue and comes back


async def retried(play: Play) -> Any:
    channel = await work(
        play, **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "retry"}
    )
    await channel.declare_queue(
        "retry",
        durable=True,
        arguments={
            "x-message-ttl": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work",
        },
    )  # fmt: skip

    async def handle(got: Got) -> None:
        if got.id == "m1" and not got.raw.headers.get("x-death"):
            await got.drop()
        else:
            await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    return channel


async def dead_letter_retry(play: Play) -> None:
    await play.publish(await retried(play), "work", *NAMES)
    await play.times("ack", len(NAMES))


async def dead_letter_retry_healthy(play: Play) -> None:
    """The next is sent when the last is done."""
    channel = await retried(play)
    for count, name in enumerate(NAMES, start=1):
        await play.publish(channel, "work", name)
        await play.times("ack", count)


# -- republished: a program without instrumentation sends a copy, headers and all


async def copies(play: Play, *, as_it_was: bool) -> None:
    channel = await work(play)
    kept: dict[str, Any] = {}

    async def handle(got: Got) -> None:
        kept.setdefault(got.id, headers_of(got.raw))
        await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "work", *NAMES)
    await play.times("ack", len(NAMES))
    if as_it_was:
        properties = {"message_id": "m1", "headers": kept["m1"]}
        copy = {
            "routing_key": "work", "payload": "m1", "payload_encoding": "string", "properties": properties,
        }  # fmt: skip
        await play.broker("POST", "/exchanges/{vhost}/amq.default/publish", copy)
    else:
        await play.publish(channel, "work", "m1")
    await play.times("ack", len(NAMES) + 1)


async def republished(play: Play) -> None:
    await copies(play, as_it_was=True)


async def republished_healthy(play: Play) -> None:
    """With instrumentation what is sent again is a new message."""
    await copies(play, as_it_was=False)


def republished_truth(facts: Sequence[Fact]) -> Truth:
    again = {name for name in NAMES if sum(f.message == name for f in only(facts, "ack")) > 1}
    return {
        Expected("reordered", "", "republished", "info", "work"): overtaken(facts, "work") & again,
        Expected("duplicated", "handled", "", "warning", "work"): frozenset(again),
    }


# -- publish_retry: the broker's word did not come, the client sends again


async def tries(play: Play, *, heard: bool) -> None:
    await work(play)
    relay = Relay(play.url)
    async with relay.serving() as url:
        channel = await play.channel(url=url)
        await play.consume(await play.channel(1), "work", one_by_one(play))
        if not heard:
            relay.answers.clear()
        await play.publish(channel, "work", "m0", patience=None if heard else 0.2)
        await play.times("ack", 1)
        relay.answers.set()
        await play.publish(channel, "work", "m1", "m2")
        if not heard:
            await play.publish(channel, "work", "m0")
        await play.times("ack", 3 if heard else 4)


async def publish_retry(play: Play) -> None:
    await tries(play, heard=False)


async def publish_retry_healthy(play: Play) -> None:
    await tries(play, heard=True)


def publish_retry_truth(facts: Sequence[Fact]) -> Truth:
    tried = ids(only(facts, "unknown"))
    return {
        Expected("reordered", "", "publish_retry", "warning", "work"): overtaken(facts, "work") & tried,
        Expected("duplicated", "publish_retry", "", "warning", "work"): tried,
    }  # fmt: skip


# -- priority


async def priority(play: Play) -> None:
    channel = await work(play, **{"x-max-priority": 9})
    await play.publish(channel, "work", "m0", "m1")
    await play.publish(channel, "work", "m2", priority=5)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", 3)


async def priority_healthy(play: Play) -> None:
    """The same priorities, but nothing waits."""
    channel = await work(play, **{"x-max-priority": 9})
    await play.consume(await play.channel(1), "work", one_by_one(play))
    for count, wanted in enumerate((0, 0, 5), start=1):
        await play.publish(channel, "work", f"m{count}", priority=wanted)
        await play.times("ack", count)


# -- concurrent_handlers, competing_consumers: the first takes longer than those that follow


async def slow_first(play: Play, channels: int, prefetch: int, until: int, **publish: Any) -> None:
    """The handler of m0 waits until ``until`` others are acknowledged."""
    channel = await work(play)
    lock = asyncio.Lock()

    async def handle(got: Got) -> None:
        if got.id == "m0":
            await play.times("ack", until)
        async with lock:
            await got.ack()

    for _ in range(channels):
        await play.consume(await play.channel(prefetch), "work", handle)
    await play.publish(channel, "work", *NAMES, **publish)
    await play.times("ack", len(NAMES))


async def concurrent_handlers(play: Play) -> None:
    await slow_first(play, 1, 8, 2)


async def concurrent_handlers_healthy(play: Play) -> None:
    await slow_first(play, 1, 8, 0)


async def competing_consumers(play: Play) -> None:
    await slow_first(play, 2, 1, 2)


async def competing_consumers_healthy(play: Play) -> None:
    await slow_first(play, 1, 1, 0)


# -- an ordering key's promise


async def key_competing(play: Play) -> None:
    await slow_first(play, 2, 1, 2, ordering_key="order 7")


async def key_concurrent(play: Play) -> None:
    await slow_first(play, 1, 8, 2, ordering_key="order 7")


async def key_healthy(play: Play) -> None:
    """Equal keys one after another, on one channel."""
    await slow_first(play, 1, 1, 0, ordering_key="order 7")


async def keys_apart_healthy(play: Play) -> None:
    """Each key has a consumer of its own: their messages may pass each other."""
    channel = await play.channel()
    await channel.declare_exchange("sharded", "direct")
    for shard in ("a", "b"):
        queue = await channel.declare_queue(f"work.{shard}")
        await queue.bind("sharded", shard)
        await play.consume(await play.channel(1), f"work.{shard}", one_by_one(play))
    for shard, name in zip("abab", NAMES, strict=False):
        await play.publish(channel, shard, name, exchange="sharded", ordering_key=shard)
    await play.times("ack", 4)


def broken_key(cause: str) -> Any:
    def truth(facts: Sequence[Fact]) -> Truth:
        """All have one key: handled while an earlier one was not yet settled."""
        order = [f.message for f in only(facts, "publish")]
        began = {f.message: f.at for f in only(facts, "handle")}
        done = {f.message: f.at for f in only(facts, "ack")}
        broken = frozenset(
            one
            for place, one in enumerate(order)
            if any(began[other] < done[one] for other in order[place + 1 :])
        )
        return {Expected("reordered", "", cause, "error", "work"): broken}

    return truth


ORDER = (
    Scenario("requeue", requeue, requeue_healthy, late("requeue", "warning", of=lambda f: only(f, "requeue"))),
    Scenario("quorum_requeue", quorum_requeue, quorum_requeue_healthy, late("requeue", "warning", of=lambda f: only(f, "requeue"))),
    Scenario("recover", recover, recover_healthy, late("requeue", "warning")),
    Scenario("channel_closed", channel_closed, channel_closed_healthy, late("channel_closed", "info")),
    Scenario("killed", killed, killed_healthy, late("channel_closed", "info")),
    Scenario("unseen", unseen, unseen_healthy, late("unknown", "info")),
    Scenario("failover", failover, failover_healthy, late("failover", "warning")),
    Scenario("dead_letter_retry", dead_letter_retry, dead_letter_retry_healthy, late("dead_letter_retry", "info", of=lambda f: only(f, "drop"))),
    Scenario("republished", republished, republished_healthy, republished_truth),
    Scenario("publish_retry", publish_retry, publish_retry_healthy, publish_retry_truth),
    Scenario("priority", priority, priority_healthy, late("priority", "info")),
    Scenario("concurrent_handlers", concurrent_handlers, concurrent_handlers_healthy, late("concurrent_handlers", "info", event="ack")),
    Scenario("competing_consumers", competing_consumers, competing_consumers_healthy, late("competing_consumers", "info", event="ack")),
    Scenario("key_competing", key_competing, key_healthy, broken_key("competing_consumers")),
    Scenario("key_concurrent", key_concurrent, keys_apart_healthy, broken_key("concurrent_handlers")),
)  # fmt: skip
