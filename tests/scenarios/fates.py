"""Messages handled twice, again and again, or never with success (docs/messages.md, section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tests.scenarios.log import Expected, Fact, Truth, ids, only
from tests.scenarios.play import Got, Play, Relay, one_by_one
from tests.scenarios.scenario import Scenario

# -- duplicated: handled: the acknowledgement was sent and never arrived


async def acknowledges(play: Play, *, arrives: bool) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    relay = Relay(play.url)
    async with relay.serving() as url:

        async def handle(got: Got) -> None:
            if not arrives:
                relay.requests.clear()
            await got.ack()

        first = await play.channel(1, url=url)
        await play.consume(first, "work", handle)
        await play.publish(channel, "work", "m0")
        await play.times("ack", 1)
        if arrives:
            await play.close(first)
        else:
            relay.cut()
        await play.consume(await play.channel(1), "work", one_by_one(play))
        if arrives:
            await play.publish(channel, "work", "m1")
        await play.times("ack", 2)


async def handled_twice(play: Play) -> None:
    await acknowledges(play, arrives=False)


async def handled_once(play: Play) -> None:
    await acknowledges(play, arrives=True)


async def gets(play: Play, *, arrives: bool) -> None:
    """The same by ``basic.get``, whose handling nobody sees."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", "m0", "m1")
    relay = Relay(play.url)
    async with relay.serving() as url:
        first = await play.channel(url=url)
        got = await play.got(first, "work")
        if not arrives:
            relay.requests.clear()
        await got.ack()
        if arrives:
            await play.close(first)
        else:
            relay.cut()
        second = await play.channel()
        for _ in range(1 if arrives else 2):
            await (await play.got(second, "work")).ack()


async def got_twice(play: Play) -> None:
    await gets(play, arrives=False)


async def got_once(play: Play) -> None:
    await gets(play, arrives=True)


def handled_truth(facts: Sequence[Fact]) -> Truth:
    acked = [fact.message for fact in only(facts, "ack")]
    twice = frozenset(name for name in acked if acked.count(name) > 1)
    return {Expected("duplicated", "handled", "", "warning", "work"): twice}


# -- redelivery_loop


async def returns(play: Play, times: int, pause: float) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)

    async def handle(got: Got) -> None:
        if play.written["requeue"] < times:
            await asyncio.sleep(pause)
            await got.requeue()
        else:
            await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "work", "m0")
    await play.times("ack", 1)


async def loop(play: Play) -> None:
    await returns(play, 6, 0)


async def tight_loop(play: Play) -> None:
    await returns(play, 14, 0)


async def loop_healthy(play: Play) -> None:
    await returns(play, 4, 0)


def looping(severity: str) -> Callable[[Sequence[Fact]], Truth]:
    def truth(facts: Sequence[Fact]) -> Truth:
        return {Expected("redelivery_loop", "", "", severity, "work"): ids(only(facts, "requeue"))}

    return truth


# -- dead_lettered: rejected into a queue with no way onward


async def rejects(play: Play, *dropped: str) -> None:
    channel = await play.channel()
    await channel.declare_queue("parked", durable=True)
    ways = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "parked"}
    await channel.declare_queue("work", durable=True, arguments=ways)

    async def handle(got: Got) -> None:
        if got.id in dropped:
            await got.drop()
        else:
            await got.ack()

    await play.consume(await play.channel(1), "work", handle)
    await play.publish(channel, "work", "m0", "m1", "m2")
    await play.until(lambda: play.written["ack"] + play.written["drop"] == 3)


async def dead_lettered(play: Play) -> None:
    await rejects(play, "m1")


async def dead_lettered_healthy(play: Play) -> None:
    await rejects(play)


def dead_truth(facts: Sequence[Fact]) -> Truth:
    return {Expected("dead_lettered", "", "", "warning", "work"): ids(only(facts, "drop"))}


FATES = (
    Scenario("handled_twice", handled_twice, handled_once, handled_truth),
    Scenario("got_twice", got_twice, got_once, handled_truth),
    Scenario("loop", loop, loop_healthy, looping("warning")),
    Scenario("tight_loop", tight_loop, loop_healthy, looping("error")),
    Scenario("dead_lettered", dead_lettered, dead_lettered_healthy, dead_truth),
)
