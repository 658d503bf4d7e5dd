"""What the services' logs say must be found: the definitions of ``docs/messages.md`` in plain
Python, slow and obvious, over the truth instead of telemetry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Fact = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handled:
    """One message's life in one queue, places counted in that service's log."""

    message_id: str
    stream: tuple[str, str]
    n: int
    ordering_key: str | None
    tags: tuple[int, ...]
    began: tuple[int, ...]
    requeues: int
    acked: int


def late_messages(logs: Mapping[str, Sequence[Fact]], queue: str) -> dict[str, set[str]]:
    """Cause → ids of the messages that came late in ``queue``, by stream or by ordering key."""
    handled = histories(logs, queue)
    found: dict[str, set[str]] = defaultdict(set)
    for one in handled:
        others = [o for o in handled if o.stream == one.stream and o.n > one.n]
        by_delivery = any(other.tags[-1] < one.tags[-1] for other in others)
        by_completion = any(other.acked < one.acked for other in others)
        followers = [o for o in others if one.ordering_key and o.ordering_key == one.ordering_key]
        by_key = any(min(other.began) < one.acked for other in followers)
        if one.requeues and (by_delivery or by_key):
            found["requeue"].add(one.message_id)
        elif by_delivery:
            found["unknown"].add(one.message_id)
        elif by_completion or by_key:
            found["concurrent_handlers"].add(one.message_id)
    return dict(found)


def histories(logs: Mapping[str, Sequence[Fact]], queue: str) -> list[Handled]:
    """Every message that was handled to its end in ``queue``. One service consumes it."""
    published = {
        fact["message_id"]: (service, n, fact)
        for service, log in logs.items()
        for n, fact in enumerate(log)
        if fact["event"] == "publish"
    }
    seen: dict[str, list[tuple[int, Fact]]] = defaultdict(list)
    for log in logs.values():
        for place, fact in enumerate(log):
            if fact.get("queue") == queue:
                seen[fact["message_id"]].append((place, fact))
    found: list[Handled] = []
    for message_id, facts in seen.items():
        acked = [place for place, fact in facts if fact["event"] == "ack"]
        if not acked or message_id not in published:
            continue
        service, n, publish = published[message_id]
        handled = [(place, fact) for place, fact in facts if fact["event"] == "handle"]
        found.append(
            Handled(
                message_id,
                (service, publish["exchange"]),
                n,
                publish["ordering_key"],
                tuple(fact["delivery_tag"] for _, fact in handled),
                tuple(place for place, _ in handled),
                sum(fact["event"] == "requeue" for _, fact in facts),
                acked[-1],
            )
        )
    return found


def arrived(logs: Mapping[str, Sequence[Fact]], queue: str, **wanted: Any) -> set[str]:
    """Ids of messages handled in ``queue`` whose facts equal ``wanted``."""
    return {
        fact["message_id"]
        for log in logs.values()
        for fact in log
        if fact["event"] == "handle" and fact["queue"] == queue and _matches(fact, wanted)
    }


def returned(logs: Mapping[str, Sequence[Fact]]) -> set[str]:
    """Ids of messages that the broker gave back to their publisher."""
    return {
        fact["message_id"] for log in logs.values() for fact in log if fact["event"] == "returned"
    }


def rejected(logs: Mapping[str, Sequence[Fact]], queue: str) -> set[str]:
    """Ids of messages that a consumer of ``queue`` gave up."""
    return {
        fact["message_id"]
        for log in logs.values()
        for fact in log
        if fact["event"] == "reject" and fact["queue"] == queue
    }


def unsettled(
    logs: Mapping[str, Sequence[Fact]], queues_of: Mapping[tuple[str, str], Iterable[str]]
) -> int:
    """How many deliveries are still to come, or to be acknowledged or rejected. ``queues_of`` (exchange, key)
    names the queues that a message reaches."""
    done = {
        (fact["message_id"], fact["queue"])
        for log in logs.values()
        for fact in log
        if fact["event"] in ("ack", "reject")
    }
    wanted = {
        (fact["message_id"], queue)
        for log in logs.values()
        for fact in log
        if fact["event"] == "publish"
        for queue in queues_of.get((fact["exchange"], fact["routing_key"]), ())
    }
    return len(wanted - done)


def _matches(fact: Fact, wanted: Mapping[str, Any]) -> bool:
    return all(fact.get(name) == value for name, value in wanted.items())
