"""Ends of which nothing is heard: context lost on the way, consumers without telemetry (docs/messages.md, section 5)."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from tests.scenarios.log import Expected, Fact, Truth, ids, only
from tests.scenarios.play import Play, one_by_one
from tests.scenarios.scenario import Scenario

# -- context_lost: a consumer that does not look for the context in the message


async def consumed_by(play: Play, **environment: str) -> None:
    """By a process of its own, which is told how to read context."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", "m0", "m1", "m2")
    async with play.holder("work", 0, settles=3, **environment) as end:
        await end(signal.SIGTERM)


async def context_lost(play: Play) -> None:
    await consumed_by(play, OTEL_PROPAGATORS="none")


async def context_lost_healthy(play: Play) -> None:
    await consumed_by(play, OTEL_PROPAGATORS="tracecontext")


def context_truth(facts: Sequence[Fact]) -> Truth:
    return {Expected("context_lost", "", "", "warning", "work"): ids(only(facts, "ack"))}


# -- uninstrumented: somebody takes them and tells nobody

MESSAGES = 22


async def uninstrumented(play: Play) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", *(f"m{n}" for n in range(MESSAGES)))
    asked = {"count": MESSAGES, "ackmode": "ack_requeue_false", "encoding": "auto"}
    await play.broker("POST", "/queues/{vhost}/work/get", asked)


async def uninstrumented_healthy(play: Play) -> None:
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    await play.publish(channel, "work", *(f"m{n}" for n in range(MESSAGES)))
    await play.consume(await play.channel(1), "work", one_by_one(play))
    await play.times("ack", MESSAGES)


def unseen(count: int) -> frozenset[str]:
    """Such a finding names a hop, and counts its messages."""
    return frozenset({f"{count} unseen"})


def uninstrumented_truth(facts: Sequence[Fact]) -> Truth:
    sent, handled = ids(only(facts, "publish")), ids(only(facts, "handle"))
    hop = Expected("uninstrumented", "", "", "info", "work")
    return {hop: unseen(len(sent))} if sent and not handled else {}


HOPS = (
    Scenario("context_lost", context_lost, context_lost_healthy, context_truth),
    Scenario("uninstrumented", uninstrumented, uninstrumented_healthy, uninstrumented_truth),
)
