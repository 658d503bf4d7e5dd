"""Words for telemetry that is missing: context that did not travel, hops that stay silent."""

from __future__ import annotations

from typing import Any

from strayline_collector.detect.words.base import Words, count, counted, exchange, keyed, was
from strayline_collector.store.ports import Row


def context_lost(incident: Row, evidence: dict[str, Any]) -> Words:
    consumer = incident["consumer_service"] or "the receiver"
    where = incident["queue"] or exchange(incident)
    return Words(
        f"{consumer} does not continue traces from {where}",
        f"{counted(incident, 'was', 'were')} handled from {where} in {'a trace of its' if incident['count'] == 1 else 'traces of their'} own, although {incident['producer_service']} "
        "sent trace context along: the receiving side has neither parent nor link.",
        f"Look whether {consumer} extracts the context from message headers, and whether something on the way removes the traceparent header.",
    )


def uninstrumented(incident: Row, evidence: dict[str, Any]) -> Words:
    producer = incident["producer_service"] or "its producers"
    if incident["routing_key"] == "*" or incident["queue"] == "*":
        return Words(
            f"Nobody is seen to read the replies of {producer}",
            f"{counted(incident, 'was', 'were')} sent by {producer} as replies, and no delivery of any was seen. "
            "Whoever asked probably reads them without telemetry.",
            "Instrument the requester's replies, or mute this finding.",
        )
    hop = incident["queue"] or f"{exchange(incident)} {keyed(incident)}"
    return Words(
        f"Nobody is seen to consume {hop}",
        f"{count(incident)} from {producer} went to {hop}, and no "
        "delivery there was ever seen. Its consumers probably send no telemetry; what becomes of what goes there is unknown.",
        f"Instrument whoever consumes {hop}, or mute this finding.",
    )


def calls(incident: Row, evidence: dict[str, Any]) -> Words:
    peer, caller = incident["consumer_service"], incident["producer_service"]
    protocol = {"http": "HTTP ", "grpc": "gRPC "}.get(evidence.get("protocol") or "", "")
    return Words(
        f"{peer} answers calls and sends no spans",
        f"{count(incident, protocol + 'call')} of {caller} to {peer} {was(incident)} answered with success, and not one left a span on the "
        "other side. What happens there is unknown, and traces end at it.",
        f"Instrument {peer}, or mute this finding.",
    )
