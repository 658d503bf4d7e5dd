"""Messages that the broker took and nobody ever handled (docs/detectors/lost.md)."""

from __future__ import annotations

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


def never_handled(cause: str, severity: str) -> Callable[[Sequence[Fact]], Truth]:
    def truth(facts: Sequence[Fact]) -> Truth:
        lost = ids(only(facts, "publish")) - ids(only(facts, "ack"))
        return {Expected("lost", "", cause, severity, "work"): lost}

    return truth


LOSSES = (
    Scenario("purged", purged, purged_healthy, never_handled("purged", "info")),
    Scenario("queue_deleted", deleted, deleted_healthy, never_handled("queue_deleted", "error")),
    Scenario("expired", expired, expired_healthy, never_handled("expired", "info")),
    Scenario("max_length", max_length, max_length_healthy, never_handled("max_length", "info")),
    Scenario("discarded", discarded, discarded_healthy, never_handled("discarded", "warning")),
)  # fmt: skip
