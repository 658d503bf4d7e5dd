"""Healthy programs that look suspicious: nothing may be claimed of any (docs/messages.md, section 3)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from tests.scenarios.fates import handled_truth
from tests.scenarios.log import Fact, Truth, late
from tests.scenarios.play import Got, Play, Relay, one_by_one
from tests.scenarios.scenario import Program, Scenario

NAMES = ("m0", "m1", "m2", "m3", "m4", "m5")


async def publisher_restarts(play: Play) -> None:
    """A new connection, numbers from 1 again."""
    first = await play.channel()
    await first.declare_queue("work", durable=True)
    await play.publish(first, "work", *NAMES[:3])
    await play.close(first)
    await play.publish(await play.channel(), "work", *NAMES[3:])
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", len(NAMES))


async def rolling_deploy(play: Play) -> None:
    """One consumer after the other, each leaves with nothing in hand."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    for count, name in enumerate(NAMES, start=1):
        consumer = await play.channel(10)
        await play.consume(consumer, "work", one_by_one(play))
        await play.publish(channel, "work", name)
        await play.times("ack", count)
        await play.close(consumer)


async def channel_per_task(play: Play) -> None:
    first = await play.channel()
    await first.declare_queue("work", durable=True)
    await play.consume(await play.channel(1), "work", one_by_one(play))

    async def task(name: str) -> None:
        await play.publish(await play.another(first), "work", name)

    await asyncio.gather(*(task(name) for name in NAMES))
    await play.times("ack", len(NAMES))


async def tasks_share_a_channel(play: Play) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await asyncio.gather(*(play.publish(channel, "work", name) for name in NAMES))
    await play.times("ack", len(NAMES))


async def publish_times_out(play: Play) -> None:
    """The broker's word did not come, and nobody sends again."""
    admin = await play.channel()
    await admin.declare_queue("work", durable=True)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    relay = Relay(play.url)
    async with relay.serving() as url:
        channel = await play.channel(url=url)
        relay.answers.clear()
        await play.publish(channel, "work", "m0", patience=0.2)
        relay.answers.set()
        await play.publish(channel, "work", "m1", "m2")
        await play.times("ack", 3)


async def bindings_change(play: Play) -> None:
    """The key leads to another queue from now on."""
    channel = await play.channel()
    await channel.declare_exchange("events", "topic", durable=True)
    before = await channel.declare_queue("before", durable=True)
    after = await channel.declare_queue("after", durable=True)
    for name in ("before", "after"):
        await play.consume(await play.channel(1), name, one_by_one(play))
    await before.bind("events", "order.created")
    await before.bind("events", "order.paid")
    await play.publish(channel, "order.created", "m0", "m1", exchange="events")
    await play.times("ack", 2)
    await before.unbind("events", "order.created")
    await after.bind("events", "order.created")
    await play.publish(channel, "order.created", "m2", "m3", exchange="events")
    await play.times("ack", 4)


async def prefetched(play: Play) -> None:
    """Taken into the client's buffer and given back unhandled when the loop ends."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", *NAMES)
    first = await play.channel(4)
    queue = await first.get_queue("work", ensure=False)
    async with queue.iterator() as messages:
        async for raw in messages:
            got = Got(play, raw, "iterator", "work")
            got.note("handle")
            await got.ack()
            break
    await play.close(first)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", len(NAMES))


async def fanout(play: Play) -> None:
    """Copies of one message are handled at different times."""
    channel = await play.channel()
    await channel.declare_exchange("told", "fanout")
    for name in ("email", "audit"):
        queue = await channel.declare_queue(name, durable=True)
        await queue.bind("told")
    await play.consume(await play.channel(1), "email", one_by_one(play))
    await play.publish(channel, "", *NAMES, exchange="told")
    await play.times("ack", len(NAMES))
    await play.consume(await play.channel(1), "audit", one_by_one(play))
    await play.times("ack", 2 * len(NAMES))


async def quorum(play: Play) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True, arguments={"x-queue-type": "quorum"})
    await play.publish(channel, "work", *NAMES, priority=7)
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", len(NAMES))


async def automatic(play: Play) -> None:
    """Without acknowledgements the broker sends all at once."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", *NAMES)

    async def handle(got: Got) -> None:
        pass

    await play.consume(await play.channel(), "work", handle, no_ack=True)
    await play.times("auto", len(NAMES))


async def reconnects(play: Play) -> None:
    """Both ends lose their connection and come back by themselves: numbers go on at the sender's, tags begin anew at the
    receiver's."""
    admin = await play.channel()
    await admin.declare_queue("work", durable=True)
    relay = Relay(play.url)
    async with relay.serving() as url:
        sends, takes = await play.robust(url), await play.robust(url, 5)
        await play.consume(takes, "work", one_by_one(play))
        for count in (3, 6):
            await play.publish(sends, "work", *NAMES[count - 3 : count])
            await play.times("ack", count)
            # it answers when its channel has taken every acknowledgement; a busy queue has perhaps not
            await takes.declare_queue("work", passive=True)
            await play.breaks(relay, sends, takes)
        await play.publish(sends, "work", "m6")
        await play.times("ack", 7)


def delivered_again(facts: Sequence[Fact]) -> Truth:
    """What its queue still had when the connection broke."""
    return {**handled_truth(facts), **late("channel_closed", "info")(facts)}


async def sampled(play: Play, sampler: str, share: str, number: signal.Signals) -> None:
    """A consumer tells of some messages only, the publisher of all; then it leaves, and another goes on."""
    channel = await play.channel()
    queue = await channel.declare_queue("work", durable=True)
    names = [f"m{n}" for n in range(30)]
    await play.publish(channel, "work", *names)
    async with play.holder(
        "work", 0, len(names), OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=share
    ) as end:
        await end(number)
    while (await queue.declare()).consumer_count:
        pass
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.publish(channel, "work", "n0", "n1")
    await play.times("ack", 2)


async def sampled_half(play: Play) -> None:
    await sampled(play, "traceidratio", "0.5", signal.SIGTERM)


async def sampled_half_killed(play: Play) -> None:
    await sampled(play, "traceidratio", "0.5", signal.SIGKILL)


async def sampled_away(play: Play) -> None:
    await sampled(play, "always_off", "", signal.SIGTERM)


PROGRAMS: tuple[Program, ...] = (
    publisher_restarts, rolling_deploy, channel_per_task, tasks_share_a_channel, publish_times_out,
    bindings_change, prefetched, fanout, quorum, automatic, sampled_half, sampled_half_killed, sampled_away,
)  # fmt: skip
TRAPS = (
    *(Scenario(program.__name__, None, program) for program in PROGRAMS),  # type: ignore[attr-defined]
    Scenario("reconnects", None, reconnects, delivered_again),
)
