"""Words for messages in the wrong queue, or in none."""

from __future__ import annotations

from typing import Any, Final

from strayline_collector.detect.words.base import (
    Words,
    count,
    exchange,
    keyed,
    queues,
    quoted,
    their,
    them,
    was,
)
from strayline_collector.store.ports import Row


def stale_binding(incident: Row, evidence: dict[str, Any]) -> Words:
    queue = incident["queue"]
    bindings = ", ".join(evidence.get("intended_bindings") or []) or "none"
    return Words(
        f"{quoted(incident['routing_key'])} reaches {queue} over a binding nobody declares",
        f"{count(incident)} published to {exchange(incident)} {keyed(incident)} "
        f"arrived in {queue}. What is meant to lead there now: {bindings}. "
        f"By that, the message belongs {queues(evidence.get('expected_queues'))}. "
        "The broker still has an older binding: brokers keep bindings until somebody removes them.",
        f"Remove the binding {exchange(incident)} → {queue} with key {quoted(incident['routing_key'])} "
        "(rabbitmqadmin delete binding, or the management page), or declare it again in code if it is wanted.",
    )


def outlier(incident: Row, evidence: dict[str, Any]) -> Words:
    share = float(evidence.get("usual_share") or 0)
    usual = f"{evidence.get('usual_exchange') or '(default)'} / {evidence.get('usual_routing_key')}"
    into = incident["queue"] or "a queue that no span names"
    arrived = (
        f"and so into {into}" if evidence.get("deliveries") else "whose receivers send no spans"
    )
    return Words(
        f"{incident['producer_service']} published {quoted(evidence.get('of'))} with the key of other messages",
        f"{count(incident)} went to {exchange(incident)} {keyed(incident)} {arrived}, "
        f"while {share:.0%} of {evidence.get('units')} of {their(incident)} kind are published to {usual} "
        f"and go {queues(evidence.get('expected_queues') or ['queues that no span names'])}. That key is otherwise used for other kinds of message.",
        f"Look at the code path that publishes {quoted(evidence.get('of'))}: exchange and key should be {usual}.",
    )


def unroutable(incident: Row, evidence: dict[str, Any]) -> Words:
    key, where = quoted(incident["routing_key"]), exchange(incident)
    if evidence.get("usual_exchange") is not None:
        usual = (
            f"{evidence.get('usual_exchange') or '(default)'} / {evidence.get('usual_routing_key')}"
        )
        why = f"Nothing was ever delivered with that key, while others of {their(incident)} kind are published to {usual}."
    elif evidence.get("outcome") == "returned":
        why = f"The broker returned {them(incident)}: no binding matched, and no alternate exchange took {them(incident)}."
    else:
        why = "The complete topology leads from there to no queue."
    return Words(
        f"No queue for {key} on {where}",
        f"{count(incident)} published by {incident['producer_service']} to {where} {keyed(incident)} reached no queue. {why}",
        f"Bind a queue to {where} for {key}, correct the key, or give the exchange an alternate exchange to keep what nobody takes.",
    )


def alternate(incident: Row, evidence: dict[str, Any]) -> Words:
    key, where = quoted(incident["routing_key"]), exchange(incident)
    return Words(
        f"Only the alternate exchange of {where} takes {key}",
        f"{count(incident)} published by {incident['producer_service']} to {where} {keyed(incident)} matched none of its bindings; "
        f"its alternate exchange took {them(incident)} {queues(evidence.get('actual_queues'))}.",
        f"Bind a queue to {where} for {key}, or correct the key, unless what nobody takes is meant to be kept there.",
    )


def refused(incident: Row, evidence: dict[str, Any]) -> Words:
    queue, key = incident["queue"], quoted(incident["routing_key"])
    takers = ", ".join(evidence.get("expected_queues") or [])
    return Words(
        f"{incident['consumer_service']} never succeeds with {key} in {queue}",
        f"{count(incident)} of {exchange(incident)} {keyed(incident)} came to {queue} and {was(incident)} refused or failed there, every one so far, "
        f"while its consumer succeeds with others and the consumer of {takers} succeeds with these.",
        f"Look whether {key} belongs in {queue}: remove its binding there, or teach the consumer to handle it.",
    )


_BREACH_TITLES: Final = {
    "queue": "{message} does not belong in {queue}",
    "place": "{message} was sent where the contract does not let it",
    "sender": "{producer} sends what the contract leaves to others",
    "receiver": "{consumer} takes from {queue}, which the contract leaves to others",
}


def contract(incident: Row, evidence: dict[str, Any]) -> Words:
    rule, queue = evidence.get("rule") or "queue", incident["queue"]
    message = quoted(evidence.get("contract_message") or incident["routing_key"])
    producer = incident["producer_service"] or "An unknown producer"
    consumer = incident["consumer_service"] or "A consumer"
    names = {"message": message, "queue": queue, "producer": producer, "consumer": consumer}
    listed = ", ".join(evidence.get("queue_messages") or []) or "nothing that the contract knows"
    places = ", ".join(evidence.get("expected_keys") or []) or "nowhere that the contract names"
    allowed = ", ".join(evidence.get("expected_services") or []) or "nobody"
    expected = {
        "queue": f"The contract expects it {queues(evidence.get('expected_queues'))}; in {queue} it lists {listed}.",
        "place": f"The contract lets it be sent to {places}.",
        "sender": f"The contract lets {allowed} send there.",
        "receiver": f"The contract lets {allowed} receive there.",
    }[rule]
    used = f"{exchange(incident)} / {incident['routing_key'] or ''}"
    nearest = evidence.get("nearest")
    near = f" The nearest that it names is {nearest}." if nearest and nearest != used else ""
    return Words(
        _BREACH_TITLES[rule].format(**names),
        f"{count(incident)} published by {producer} to {used} arrived in {queue}"
        f"{' and went to ' + consumer if incident['consumer_service'] else ''}. {expected}{near}",
        {
            "queue": f"Correct the key, or remove the binding that brings it into {queue}; if it is wanted there, list it in the contract's channel of {queue}.",
            "place": "Correct exchange and key in the code that publishes it, or add the place to the contract.",
            "sender": f"Stop {producer} from sending there, or add its send operation to the contract.",
            "receiver": f"Stop {consumer} from consuming {queue}, or add its receive operation to the contract.",
        }[rule],
    )
