"""Words for messages that came late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from strayline_collector.detect.words.base import Words, count, keyed, told
from strayline_collector.store.ports import Row


@dataclass(frozen=True, slots=True)
class _Cause:
    title: str
    why: str
    remedy: str


CAUSES: Final = {
    "dead_letter_retry": _Cause(
        "Messages of {queue} came back from a dead-letter queue behind later ones",
        "{They} {were} dead-lettered and came back to the queue, as x-death shows, and messages published later had been handled by then.",
        "Retry inside the handler where order matters, or hold back what has the same ordering key until the retry is done.",
    ),
    "republished": _Cause(
        "Copies of messages came to {queue} behind later ones",
        "Somebody published a copy with the same stamp: a program that republishes with the headers it got, a shovel, or a person.",
        "Let whoever republishes leave out the x-strayline header, or retry without publishing again.",
    ),
    "requeue": _Cause(
        "Messages overtaken in {queue} after a requeue",
        "The consumer gave {them} back with requeue (nack or reject), and messages published later were delivered before that.",
        "Do not requeue where order matters: retry inside the handler, or dead-letter to a delay queue per ordering key. A prefetch of 1 keeps followers from overtaking.",
    ),
    "failover": _Cause(
        "Messages of {queue} came late when its single active consumer changed",
        "The active consumer went without settling {them}; the next one got {them} again after later ones had been handled.",
        "Stop consumers gently (cancel, finish, acknowledge, close) and keep the prefetch small, so that little is in flight at a change.",
    ),
    "channel_closed": _Cause(
        "Messages of {queue} came late because a consumer's channel closed",
        "A channel closed (crash, deploy, reconnect) before {their} settlement; another one got {them} again, after later ones.",
        "Stop consumers gently (cancel, finish, acknowledge, close), and keep the prefetch small where order matters.",
    ),
    "publish_retry": _Cause(
        "Messages of {queue} came late because they were published again",
        "The producer did not learn what became of the first try (a timeout, a broken connection) and published {them} again, after later ones.",
        "Where order matters hold back later messages until the retry is confirmed; make handlers idempotent, since both tries may arrive.",
    ),
    "priority": _Cause(
        "Messages of {queue} were overtaken by ones of higher priority",
        "The queue has priorities, and every message that came before {them} has a higher one.",
        "Give messages that must stay in order the same priority, or a queue without.",
    ),
    "concurrent_handlers": _Cause(
        "Messages of {queue} handled at the same time finished out of order",
        "{They} {were} delivered in order on one channel, but several handlers ran at once: a later message was begun before an earlier one was done, or was done first.",
        "Set the channel's prefetch to 1, handle one message at a time, or serialise handlers by ordering key.",
    ),
    "competing_consumers": _Cause(
        "Competing consumers took {queue} out of order",
        "Each consuming channel got its messages in order; all together did not keep the order of the queue.",
        "Declare the queue with x-single-active-consumer, or partition it by ordering key with a consistent-hash exchange.",
    ),
    "broker": _Cause(
        "The broker delivered {queue} out of order",
        "One channel published {them} through a plain exchange to a plain queue with one consumer, every delivery is known, and still later ones came before {them}: what AMQP promises was not kept.",
        "Look for a plugin, a shovel or a federation on the way; else report it to the broker's maintainers with the deliveries below.",
    ),
    "unknown": _Cause(
        "Messages of {queue} arrived out of order",
        "Nothing recorded explains it: no requeue, no other channel, no priority.",
        "Look at the deliveries below: channel, delivery tag and times are all there is.",
    ),
}


def reordered(incident: Row, evidence: dict[str, Any]) -> Words:
    queue, cause = incident["queue"], CAUSES[incident["cause"]]
    asked = (
        " This order was asked for: by an ordering key, a contract, or a single active consumer."
        if evidence.get("order_asked")
        else " Nobody declared that order matters here."
    )
    extent = incident["worst_extent"]
    worst = (
        f" {'It' if incident['count'] == 1 else 'The worst'} came {extent} {'place' if extent == 1 else 'places'} late."
        if extent
        else ""
    )
    how = (
        ""
        if incident["proven"]
        else " Judged from the times of spans alone: both sides carry no stamp, so only clear gaps count."
    )
    return Words(
        cause.title.format(queue=queue),
        f"{count(incident)} published by {incident['producer_service'] or 'an unknown producer'} "
        f"{keyed(incident)} came late in {queue}. {told(cause.why, incident)}{worst}{asked}{how}",
        cause.remedy,
    )
