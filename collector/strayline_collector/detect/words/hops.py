"""Words for telemetry that is missing: context that did not travel, hops that stay silent."""

from __future__ import annotations

from typing import Any

from strayline_collector.detect.words.base import Words, count, exchange, quoted
from strayline_collector.store.ports import Row


def context_lost(incident: Row, evidence: dict[str, Any]) -> Words:
    consumer = incident["consumer_service"] or "the receiver"
    where = incident["queue"] or exchange(incident)
    return Words(
        f"{consumer} does not continue traces from {where}",
        f"{count(incident, 'delivery').replace('deliverys', 'deliveries')} of {where} began a trace of their own, although {incident['producer_service']} "
        "sent trace context with the message: the receiving side has neither parent nor link.",
        f"Look whether {consumer} extracts the context from message headers, and whether something on the way removes the traceparent header.",
    )


def uninstrumented(incident: Row, evidence: dict[str, Any]) -> Words:
    hop = incident["queue"] or exchange(incident)
    return Words(
        f"Nobody is seen to consume {hop}",
        f"{count(incident)} of {incident['producer_service'] or 'a producer'} went to {hop} with key {quoted(incident['routing_key'])}, and no "
        "delivery of that hop was ever seen. Its consumers probably send no telemetry; what becomes of these messages is unknown.",
        f"Instrument whoever consumes {hop}, or mute this finding.",
    )
