"""Queues out of which nothing comes (docs/detectors/stalled.md), for a collector that waits two seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.scenarios.log import Expected, Fact, Truth, ids, only
from tests.scenarios.play import Play, one_by_one
from tests.scenarios.scenario import Scenario

STALLED_S = 3
THRESHOLDS = (f"stalled_after_s={STALLED_S}", "stalled_gap_factor=1")


async def passes(play: Play, seconds: float) -> None:
    """Waits until so much time has passed. That is what these scenarios are about."""
    ends = time.monotonic() + seconds
    await play.until(lambda: time.monotonic() >= ends)


async def pauses(play: Play, *before: str, after: tuple[str, ...], ends: bool = True) -> None:
    """A queue in use; its consumer leaves, ``before`` are sent and nothing comes out for longer than a stall takes; then
    it comes back, and ``after`` are sent."""
    channel = await play.channel()
    await channel.declare_queue("work", durable=True)
    first = await play.channel(1)
    await play.consume(first, "work", one_by_one(play))
    await play.publish(channel, "work", "m0", "m1")
    await play.times("ack", 2)
    await play.close(first)
    await play.publish(channel, "work", *before)
    await passes(play, STALLED_S + 1)
    if ends:
        await play.consume(await play.channel(1), "work", one_by_one(play))
        await play.publish(channel, "work", *after)
        await play.times("ack", 2 + len(before) + len(after))
    else:  # the time of events goes on by what others do
        other = await channel.declare_queue("other", durable=True)
        await play.consume(await play.channel(1), other.name, one_by_one(play))
        await play.publish(channel, other.name, *after)
        await play.times("ack", 2 + len(after))


async def stalled(play: Play) -> None:
    await pauses(play, "m2", "m3", after=("m4",))


async def stalled_healthy(play: Play) -> None:
    """Nothing came out for as long, but nothing waited."""
    await pauses(play, after=("m2", "m3", "m4"))


async def stalls_on(play: Play) -> None:
    await pauses(play, "m2", "m3", after=("m4",), ends=False)


async def stalls_on_healthy(play: Play) -> None:
    await pauses(play, after=("m4",), ends=False)


def stalled_truth(facts: Sequence[Fact]) -> Truth:
    """Those that waited for longer than is allowed, or wait still."""
    ended = facts[-1].at
    came = {f.message: f.at for f in only(facts, "handle")}
    waited = ids(
        f
        for f in only(facts, "publish")
        if f.place == "/work" and came.get(f.message, ended) - f.at > STALLED_S * 1e9
    )
    return {Expected("stalled", "", "", "warning", "work"): waited}


WAITING = (
    Scenario("stalled", stalled, stalled_healthy, stalled_truth, THRESHOLDS),
    Scenario("stalls_on", stalls_on, stalls_on_healthy, stalled_truth, THRESHOLDS),
)
