"""Words for what becomes of messages: lost, stalled, duplicated, dead-lettered, tried for ever."""

from __future__ import annotations

from typing import Any, Final

from strayline_collector.detect.words.base import (
    Words,
    count,
    counted,
    exchange,
    keyed,
    published,
    their,
    them,
    told,
    was,
)
from strayline_collector.store.ports import Row

LOST: Final[dict[str, tuple[str, str]]] = {
    "expired": (
        "{They} waited longer than {their} time to live, and no dead-letter exchange keeps what expires.",
        "Raise the time to live, add consumers, or give the queue a dead-letter exchange.",
    ),
    "max_length": (
        "The queue is limited and was full; it drops its oldest messages, and no dead-letter exchange keeps what it drops.",
        "Raise the limit, add consumers, or set x-overflow to reject-publish with a dead-letter exchange.",
    ),
    "purged": (
        "The queue was purged while it held {them}.",
        "If nobody meant to, look for who purges it.",
    ),
    "queue_deleted": (
        "The queue was deleted while it held {them}.",
        "Delete queues only when they are empty (if-empty), and look for who deleted this one.",
    ),
    "auto_ack_consumer": (
        "{They} {were} delivered with automatic acknowledgement to a process that ended before it handled {them}.",
        "Acknowledge by hand after handling; automatic acknowledgement loses what is in flight when a process ends.",
    ),
    "discarded": (
        "The consumer rejected {them} without requeue, or gave {them} back more often than the queue tries, and the queue has no dead-letter exchange.",
        "Give the queue a dead-letter exchange, or handle the failure in the consumer.",
    ),
    "unknown": (
        "The broker took {them}, the queue handed out later messages or stood empty, and nobody ever got {them}.",
        "Look at who else consumes or purges the queue; nothing recorded tells.",
    ),
}


def lost(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    why, remedy = LOST[incident["cause"]]
    end = "given up there" if incident["cause"] == "discarded" else "never handled"
    return Words(
        f"Messages lost in {queue}",
        f"{published(incident)} {was(incident)} routed to {queue} and {end}. {told(why, incident)}",
        remedy,
    )


def unseen(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    missing = "; ".join(evidence.get("missing_evidence") or [])
    return Words(
        f"Messages for {queue} that nobody was seen to get",
        f"{published(incident)} should have come to {queue} and {was(incident)} never seen there, while most others were, "
        f"later ones too. What would decide is missing: {missing}.",
        "Instrument every consumer of the queue, and look whether telemetry was dropped.",
    )


def stalled(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    minutes = int(evidence.get("waited_ns", 0)) // 60_000_000_000
    one, minutes = incident["count"] == 1, f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    if evidence.get("ended_ns") is not None:
        what = f"{count(incident)} waited in {queue}{'' if one else ', the first'} for {minutes} in which nothing was delivered; then it went on."
    else:
        what = f"{counted(incident, 'waits', 'wait')} in {queue}{'' if one else ', the longest'} for {minutes}; its consumers were seen before, and nothing was delivered since."
    said, remedy = _levels(queue, evidence)
    return Words(f"{queue} has stopped", what + said, remedy)


def _levels(queue: str, evidence: dict[str, Any]) -> tuple[str, str]:
    """What RabbitMQ said of the queue, where it was asked, and what to do by that."""
    ready, consumers = evidence.get("ready"), evidence.get("consumers")
    if ready is None or consumers is None:
        return (
            "",
            f"Look whether a consumer of {queue} runs, and whether one holds its whole prefetch without acknowledging.",
        )
    held = int(evidence.get("unacknowledged") or 0)
    said = (
        f" RabbitMQ says: {ready:,} ready, {held:,} unacknowledged, "
        f"{consumers or 'no'} {'consumer' if consumers in (0, 1) else 'consumers'}."
    )
    if not consumers:
        return said, f"Start a consumer of {queue}: none is connected."
    if held:
        return (
            said,
            f"Look what the consumers of {queue} do with what they hold without acknowledging it: their prefetch is used up, or they hang.",
        )
    return (
        said,
        f"Look at the consumers of {queue}: they are connected and are given nothing, as by a single active consumer that hangs, or a blocked connection.",
    )


def published_twice(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    return Words(
        f"Messages published twice reached {queue} twice",
        f"{published(incident)} came to {queue} though {their(incident)} first try had come too. The producer did not learn of its success and published again.",
        "Make the handler idempotent by message id; a longer confirm timeout makes it rarer.",
    )


def handled(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    return Words(
        f"Messages of {queue} were handled twice",
        f"{published(incident)} {was(incident)} handled in {queue} more than once, each time with success. The broker delivers again what was not acknowledged in time, or somebody published a copy.",
        "Make the handler idempotent by message id, and acknowledge as soon as the work is done.",
    )


def redelivery_loop(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"] or f"a queue of {incident['consumer_service']} that no span names"
    often = (
        evidence.get("tries") if incident["count"] == 1 else f"the first {evidence.get('tries')}"
    )
    return Words(
        f"Messages go round in {queue}",
        f"{counted(incident, 'was', 'were')} tried in {queue} again and again ({often} times), and each try failed or gave {them(incident)} back.",
        "Dead-letter after a few tries (x-delivery-limit on a quorum queue, or count x-death), and mend what the handler fails on.",
    )


def dead_lettered(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    path = " → ".join(evidence.get("path") or [queue or "?"])
    reason = evidence.get("reason") or "rejected"
    rests = evidence.get("rests_in")
    where = (
        f" {'It rests' if incident['count'] == 1 else 'They rest'} in {rests}, from which nothing leads on and which nobody consumes."
        if rests
        else ""
    )
    dead = "a dead letter" if incident["count"] == 1 else "dead letters"
    return Words(
        f"Messages of {queue} were dead-lettered ({reason})",
        f"{count(incident)} of {exchange(incident)} {keyed(incident)} left {queue} as {dead}: {path}.{where}",
        f"Look at what {queue}'s handler fails on; consume the dead-letter queue, or requeue from it once mended.",
    )
