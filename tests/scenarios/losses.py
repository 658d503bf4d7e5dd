"""Messages that the broker took and nobody ever handled (docs/detectors/lost.md)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import Any

from tests.scenarios.log import Expected, Fact, Truth, ids, only
from tests.scenarios.play import Got, Play, one_by_one
from tests.scenarios.scenario import Scenario


async def used(play: Play, **arguments: Any) -> tuple[Any, Any]:
    """A publishing channel, and a queue ``work`` of which one message was handled."""
    channel = await play.channel()
    queue = await channel.declare_queue("work", durable=True, arguments=arguments)
    consumer = await play.channel(1)
    tag = await play.consume(consumer, "work", one_by_one(play))
    await play.publish(channel, "work", "m0")
    await play.times("ack", 1)
    await (await consumer.get_queue("work", ensure=False)).cancel(tag)
    return channel, queue


async def drained(play: Play, count: int) -> None:
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", count)


async def purged(play: Play) -> None:
    channel, queue = await used(play)
    await play.publish(channel, "work", "m1", "m2")
    await queue.purge()
    await play.publish(channel, "work", "m3")
    await drained(play, 2)


async def purged_healthy(play: Play) -> None:
    channel, queue = await used(play)
    await queue.purge()
    await play.publish(channel, "work", "m1", "m2")
    await drained(play, 3)


async def deleted(play: Play) -> None:
    channel, queue = await used(play)
    await play.publish(channel, "work", "m1", "m2")
    await queue.delete(if_unused=False, if_empty=False)


async def deleted_healthy(play: Play) -> None:
    _, queue = await used(play)
    await queue.delete(if_unused=False, if_empty=True)


async def expires(play: Play, ttl_ms: int, gone: int) -> None:
    channel, queue = await used(play, **{"x-message-ttl": ttl_ms})
    await play.publish(channel, "work", "m1", "m2")
    while gone and (await queue.declare()).message_count:
        pass
    await play.consume(await play.channel(1), "work", one_by_one(play))
    if not gone:
        await play.times("ack", 3)
    await play.publish(channel, "work", "m3")
    await play.times("ack", 4 - gone)


async def expired(play: Play) -> None:
    await expires(play, 2000, 2)


async def expired_healthy(play: Play) -> None:
    await expires(play, 600_000, 0)


async def overflows(play: Play, length: int, count: int) -> None:
    channel, _ = await used(play, **{"x-max-length": length})
    await play.publish(channel, "work", "m1", "m2", "m3", "m4", "m5")
    await drained(play, count)


async def max_length(play: Play) -> None:
    await overflows(play, 2, 3)


async def max_length_healthy(play: Play) -> None:
    await overflows(play, 5, 6)


# -- a limit in bytes: how large messages are nobody tells, so that no more is said than that they were never seen


async def overflows_bytes(play: Play, most: int, count: int) -> None:
    channel, _ = await used(play, **{"x-max-length-bytes": most})
    await play.publish(channel, "work", "m1", "m2", "m3", "m4", "m5")
    await drained(play, count)


async def max_length_bytes(play: Play) -> None:
    await overflows_bytes(play, 8, 5)  # of two bytes each, m1 goes


async def max_length_bytes_healthy(play: Play) -> None:
    await overflows_bytes(play, 1000, 6)


async def discards(play: Play, *names: str, dropped: int) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)

    async def handle(got: Got) -> None:
        if dropped and got.id == names[dropped]:
            await got.drop()
        else:
            await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "work", *names)
    await play.until(lambda: play.written["ack"] + play.written["drop"] == 3)


async def discarded(play: Play) -> None:
    await discards(play, "d0", "d1", "d2", dropped=1)


async def discarded_healthy(play: Play) -> None:
    await discards(play, "e0", "e1", "e2", dropped=0)


# -- auto_ack_consumer: acknowledged when it was sent, and the process ended before it was handled


async def takes(play: Play, handles: int, number: signal.Signals) -> None:
    channel = await play.channel()
    queue = await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", "m0", "m1", "m2", "m3", "m4")
    async with play.taker("work", handles) as end:
        await end(number)
    # until the broker has noticed, it sends on to whom is gone
    while (await queue.declare()).consumer_count:
        pass
    await play.publish(channel, "work", "m5")
    await drained(play, 1)


async def auto_ack(play: Play) -> None:
    await takes(play, 2, signal.SIGTERM)


async def auto_ack_killed(play: Play) -> None:
    """What it had taken it could not tell: no more than that they were never seen."""
    await takes(play, 2, signal.SIGKILL)


async def auto_ack_healthy(play: Play) -> None:
    await takes(play, 5, signal.SIGTERM)


async def auto_ack_killed_healthy(play: Play) -> None:
    await takes(play, 5, signal.SIGKILL)


# -- unknown and unseen: somebody emptied the queue whom nobody heard


async def vanishes(play: Play, gone: bool, **arguments: Any) -> None:
    """A consumer holds one message while others wait behind it."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True, arguments=arguments)
    goes_on = asyncio.Event()

    async def handle(got: Got) -> None:
        if got.id == "m8":
            await goes_on.wait()
        await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "work", *(f"m{n}" for n in range(10)))
    await play.until(lambda: "m8" in ids(only(play.facts, "handle")))
    if gone:
        await play.broker("DELETE", "/queues/{vhost}/work/contents", None)
    goes_on.set()
    await play.publish(channel, "work", "m10")
    await play.times("ack", 10 if gone else 11)


async def unknown(play: Play) -> None:
    await vanishes(play, True, **{"x-single-active-consumer": True})


async def unknown_healthy(play: Play) -> None:
    await vanishes(play, False, **{"x-single-active-consumer": True})


async def unseen(play: Play) -> None:
    await vanishes(play, True)


async def unseen_healthy(play: Play) -> None:
    await vanishes(play, False)


# -- discarded: given back more often than a quorum queue tries


async def gives_up(play: Play, times: int, **arguments: Any) -> None:
    channel = await play.channel()
    limited = {"x-queue-type": "quorum", "x-delivery-limit": 2, **arguments}
    await channel.declare_queue("work", durable=True, arguments=limited)

    async def handle(got: Got) -> None:
        if got.id == "m1" and play.written["requeue"] < times:
            await got.requeue()
        else:
            await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "work", "m0", "m1")
    await play.times("requeue", times)
    await play.publish(channel, "work", "m2")
    await play.times("ack", 2 if times > 2 else 3)


async def over_the_limit(play: Play) -> None:
    await gives_up(play, 3)


async def within_the_limit(play: Play) -> None:
    await gives_up(play, 2)


async def dead_letters_over_the_limit(play: Play, times: int) -> None:
    channel = await play.channel()
    await channel.declare_queue("dead", durable=True)
    dead = await play.channel(1)
    await play.consume(dead, "dead", one_by_one(play))
    ways = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    await gives_up(play, times, **ways)
    await play.times("ack", 3)


async def limit_dead_letters(play: Play) -> None:
    await dead_letters_over_the_limit(play, 3)


async def limit_dead_letters_healthy(play: Play) -> None:
    await dead_letters_over_the_limit(play, 2)


def given_up(facts: Sequence[Fact]) -> Truth:
    """Those that came to the dead-letter queue."""
    dead = [fact for fact in only(facts, "handle") if fact.place == "dead"]
    return {Expected("dead_lettered", "", "", "info", "work"): ids(dead)}


def never_seen(severity: str) -> Callable[[Sequence[Fact]], Truth]:
    def truth(facts: Sequence[Fact]) -> Truth:
        lost = ids(only(facts, "publish")) - ids(only(facts, "ack", "auto"))
        return {Expected("lost", "unseen", "", severity, "work"): lost}

    return truth


def never_handled(cause: str, severity: str) -> Callable[[Sequence[Fact]], Truth]:
    def truth(facts: Sequence[Fact]) -> Truth:
        lost = ids(only(facts, "publish")) - ids(only(facts, "ack", "auto"))
        return {Expected("lost", "", cause, severity, "work"): lost}

    return truth


LOSSES = (
    Scenario("purged", purged, purged_healthy, never_handled("purged", "info")),
    Scenario("queue_deleted", deleted, deleted_healthy, never_handled("queue_deleted", "error")),
    Scenario("expired", expired, expired_healthy, never_handled("expired", "info")),
    Scenario("max_length", max_length, max_length_healthy, never_handled("max_length", "info")),
    Scenario("max_length_bytes", max_length_bytes, max_length_bytes_healthy, never_seen("info")),
    Scenario("auto_ack_consumer", auto_ack, auto_ack_healthy, never_handled("auto_ack_consumer", "error")),
    Scenario("auto_ack_killed", auto_ack_killed, auto_ack_killed_healthy, never_seen("info")),
    Scenario("lost_unknown", unknown, unknown_healthy, never_handled("unknown", "error")),
    Scenario("lost_unseen", unseen, unseen_healthy, never_seen("warning")),
    Scenario("over_the_limit", over_the_limit, within_the_limit, never_handled("discarded", "warning")),
    Scenario("limit_dead_letters", limit_dead_letters, limit_dead_letters_healthy, given_up),
    Scenario("discarded", discarded, discarded_healthy, never_handled("discarded", "warning")),
)  # fmt: skip
