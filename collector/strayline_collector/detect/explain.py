"""The one place that writes sentences: evidence first, prose from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from strayline_collector.store.ports import Row


@dataclass(frozen=True, slots=True)
class Words:
    """What a person reads of a finding: what happened, in detail, and what to do."""

    title: str
    explanation: str
    remedy: str


_REORDER_TITLES: Final = {
    "requeue": "Messages overtaken in {queue} after a requeue",
    "concurrent_handlers": "Messages of {queue} handled at the same time finished out of order",
    "competing_consumers": "Competing consumers took {queue} out of order",
    "unknown": "Messages of {queue} arrived out of order",
}

_REORDER_WHY: Final = {
    "requeue": "The consumer gave them back with requeue (nack or reject), and messages published later were delivered before they came again.",
    "concurrent_handlers": "They were delivered in order on one channel, but several handlers ran at once: a later message was begun before an earlier one was done, or was done first.",
    "competing_consumers": "Each consuming channel got its messages in order; together they did not keep the order of the queue.",
    "unknown": "Nothing recorded explains it: no requeue, no other channel, no priority.",
}

_REORDER_REMEDY: Final = {
    "requeue": "Do not requeue where order matters: retry inside the handler, or dead-letter to a delay queue per ordering key. A prefetch of 1 keeps followers from overtaking.",
    "concurrent_handlers": "Set the channel's prefetch to 1, handle one message at a time, or serialise handlers by ordering key.",
    "competing_consumers": "Declare the queue with x-single-active-consumer, or partition it by ordering key with a consistent-hash exchange.",
    "unknown": "Look at the deliveries below: channel, delivery tag and times are all there is.",
}


def explain(incident: Row, evidence: dict[str, Any]) -> Words:
    """Words for an incident. ``evidence`` is its first message's."""
    if incident["kind"] == "reordered":
        return _reordered(incident, evidence)
    if incident["kind"] == "misrouted" and incident["verdict"] == "stale_binding":
        return _stale_binding(incident, evidence)
    if incident["kind"] == "misrouted" and incident["verdict"] == "contract":
        return _contract(incident, evidence)
    if incident["kind"] == "misrouted":
        return _outlier(incident, evidence)
    return _unroutable(incident, evidence)


def _reordered(incident: Row, evidence: dict[str, Any]) -> Words:
    queue, cause = incident["queue"], incident["cause"]
    asked = (
        " The producer asked for this order with an ordering key, or the queue has a single active consumer."
        if evidence.get("order_asked")
        else " Nobody declared that order matters here."
    )
    extent = incident["worst_extent"]
    worst = (
        f" The worst came {extent} {'place' if extent == 1 else 'places'} late." if extent else ""
    )
    how = (
        ""
        if incident["proven"]
        else " Judged from the times of spans alone: both sides carry no stamp, so only clear gaps count."
    )
    return Words(
        _REORDER_TITLES[cause].format(queue=queue),
        f"{_count(incident)} published by {incident['producer_service'] or 'an unknown producer'} with key "
        f"{_quoted(incident['routing_key'])} came late in {queue}. {_REORDER_WHY[cause]}{worst}{asked}{how}",
        _REORDER_REMEDY[cause],
    )


def _stale_binding(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    bindings = ", ".join(evidence.get("intended_bindings") or []) or "none"
    return Words(
        f"{_quoted(incident['routing_key'])} reaches {queue} over a binding nobody declares",
        f"{_count(incident)} published to {_exchange(incident)} with key {_quoted(incident['routing_key'])} "
        f"arrived in {queue}. What is meant to lead there now: {bindings}. "
        f"By that, the message belongs {_queues(evidence.get('expected_queues'))}. "
        "The broker still has an older binding: brokers keep bindings until somebody removes them.",
        f"Remove the binding {_exchange(incident)} → {queue} with key {_quoted(incident['routing_key'])} "
        "(rabbitmqadmin delete binding, or the management page), or declare it again in code if it is wanted.",
    )


def _outlier(incident: Row, evidence: dict[str, Any]) -> Words:
    share = float(evidence.get("usual_share") or 0)
    usual = f"{evidence.get('usual_exchange') or '(default)'} / {evidence.get('usual_routing_key')}"
    return Words(
        f"{incident['producer_service']} published {_quoted(evidence.get('of'))} with the key of other messages",
        f"{_count(incident)} went to {_exchange(incident)} with key {_quoted(incident['routing_key'])} and so into "
        f"{incident['queue']}, while {share:.0%} of {evidence.get('units')} of their kind are published to {usual} "
        f"and go {_queues(evidence.get('expected_queues'))}. That key is otherwise used for other kinds of message.",
        f"Look at the code path that publishes {_quoted(evidence.get('of'))}: exchange and key should be {usual}.",
    )


_BREACH_TITLES: Final = {
    "queue": "{message} does not belong in {queue}",
    "place": "{message} was sent where the contract does not let it",
    "sender": "{producer} sends what the contract leaves to others",
    "receiver": "{consumer} takes from {queue}, which the contract leaves to others",
}


def _contract(incident: Row, evidence: dict[str, Any]) -> Words:
    rule, queue = evidence.get("rule") or "queue", incident["queue"]
    message = _quoted(evidence.get("contract_message") or incident["routing_key"])
    producer = incident["producer_service"] or "An unknown producer"
    consumer = incident["consumer_service"] or "A consumer"
    names = {"message": message, "queue": queue, "producer": producer, "consumer": consumer}
    listed = ", ".join(evidence.get("queue_messages") or []) or "nothing that the contract knows"
    places = ", ".join(evidence.get("expected_keys") or []) or "nowhere that the contract names"
    allowed = ", ".join(evidence.get("expected_services") or []) or "nobody"
    expected = {
        "queue": f"The contract expects it {_queues(evidence.get('expected_queues'))}; in {queue} it lists {listed}.",
        "place": f"The contract lets it be sent to {places}.",
        "sender": f"The contract lets {allowed} send there.",
        "receiver": f"The contract lets {allowed} receive there.",
    }[rule]
    used = f"{_exchange(incident)} / {incident['routing_key'] or ''}"
    nearest = evidence.get("nearest")
    near = f" The nearest that it names is {nearest}." if nearest and nearest != used else ""
    return Words(
        _BREACH_TITLES[rule].format(**names),
        f"{_count(incident)} published by {producer} to {used} arrived in {queue}"
        f"{' and went to ' + consumer if incident['consumer_service'] else ''}. {expected}{near}",
        {
            "queue": f"Correct the key, or remove the binding that brings it into {queue}; if it is wanted there, list it in the contract's channel of {queue}.",
            "place": "Correct exchange and key in the code that publishes it, or add the place to the contract.",
            "sender": f"Stop {producer} from sending there, or add its send operation to the contract.",
            "receiver": f"Stop {consumer} from consuming {queue}, or add its receive operation to the contract.",
        }[rule],
    )


def _unroutable(incident: Row, evidence: dict[str, Any]) -> Words:
    key, exchange = _quoted(incident["routing_key"]), _exchange(incident)
    if evidence.get("usual_exchange") is not None:
        usual = (
            f"{evidence.get('usual_exchange') or '(default)'} / {evidence.get('usual_routing_key')}"
        )
        why = f"Nothing was ever delivered with that key, while others of their kind are published to {usual}."
    elif evidence.get("outcome") == "returned":
        why = "The broker returned them: no binding matched, and no alternate exchange took them."
    else:
        why = "The complete topology leads from there to no queue."
    return Words(
        f"No queue for {key} on {exchange}",
        f"{_count(incident)} published by {incident['producer_service']} to {exchange} with key {key} reached no queue. {why}",
        f"Bind a queue to {exchange} for {key}, correct the key, or give the exchange an alternate exchange to keep what nobody takes.",
    )


def _count(incident: Row) -> str:
    count = incident["count"]
    return "1 message" if count == 1 else f"{count:,} messages"


def _exchange(incident: Row) -> str:
    return incident["exchange"] or "(default)"


def _quoted(name: str | None) -> str:
    return f"“{name}”" if name else "“” (empty)"


def _queues(names: list[str] | None) -> str:
    return "to no queue" if not names else "to " + ", ".join(names)
