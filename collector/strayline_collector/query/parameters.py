"""What the API's parameters mean, where a route's signature does not say; and what routes that read
their requests themselves take."""

from __future__ import annotations

from typing import Any, Final

_ANYWHERE: Final = {
    "a": "id of the trace that the other is held against",
    "b": "id of the other trace",
    "basis": "whose place counts: the delivery's, or the completion's (settlement, else the handler's end)",
    "broker": "only of this broker, named as `queues` names it",
    "client": "only calls of this service",
    "clock": "`corrected` sets the hosts' clocks by causality",
    "columns": "of the grid, by time",
    "complete": "the document has everything: what is not in it does not exist",
    "confidence": "only of this confidence",
    "exchange": "only through this exchange",
    "finding_id": "`fnd_` and 16 hex digits",
    "format": "OTLP as a JSON document, JSON lines or protobuf; or Jaeger's UI JSON",
    "infer": "guesses what caused spans that name no cause, each with its probability",
    "kind": "only of this kind, such as `reordered`",
    "last-event-id": "the id of the last event that was got: what came since is told first",
    "level": "`messaging` has exchanges and queues as nodes, `service` joins producers and consumers",
    "limit": "at most so many; more are told by `next_cursor`",
    "message": "`trace_id-producer_span_id`",
    "message_id": "only of this AMQP message id",
    "messages": "every message of each finding, or none; without it up to 100",
    "name": "the queue",
    "operation": "a span's name, or `METHOD route`",
    "q": "a query line, as docs/search.md tells",
    "queue": "only of this queue",
    "role": "what there is, or what was meant",
    "rows": "of the grid, by duration",
    "server": "only calls to this service",
    "service": "only with this service",
    "severity": "only of this severity",
    "sort": "`start`, `duration`, `errors` or `queue_wait`, with `-` for descending (default `-start`)",
    "span_id": "16 hex digits",
    "status": "only of this status; without it `provisional` and `open`",
    "steps": "into how many equal parts the range is cut",
    "stitch": "adds what led to the trace and what followed from it, across links",
    "text": "what is looked for, whatever its case",
    "through": "`story` goes on to the end of all that followed, `response` to that of the operation",
    "trace_id": "32 hex digits",
    "triage": "only what people said this of",
    "vhost": "only in this vhost",
}
_HERE: Final = {
    ("get /api/v1/critical_path", "limit"): "the newest calls that are added up",
    ("get /api/v1/critical_path", "service"): "whose operation it is",
    ("get /api/v1/operations", "service"): "whose operations",
    ("get /api/v1/queues/order", "limit"): "so many messages are told, the worst among them",
    ("get /api/v1/search/complete", "limit"): "at most so many",
    ("get /api/v1/search/distinguish", "limit"): "at most so many values",
    ("get /api/v1/search/distinguish", "picked"): "the corner: began after, began before (unix ns), least and most duration (ns), joined by `~`",
    ("get /api/v1/traces", "picked"): "a corner of the spread: began after, began before (unix ns), least and most duration (ns), joined by `~`",
    ("get /api/v1/export", "trace_id"): "one trace, whenever it was",
    ("put /api/v1/topology", "vhost"): "the vhost of a document that is about one",
    ("put /api/v1/topology", "broker"): "the broker that it is about; without it every one",
    ("put /api/v1/topology", "valid_from"): "from when on it holds (default: now)",
    ("get /api/services/{service}/operations", "service"): "whose operations",
    ("get /api/operations", "service"): "whose operations",
    ("get /api/traces", "service"): "of the span that is looked for",
    ("get /api/traces", "operation"): "its name",
    ("get /api/traces", "limit"): "at most so many traces, up to 1000 (default 100)",
    ("get /api/traces", "start"): "unix microseconds",
    ("get /api/traces", "end"): "unix microseconds",
    ("get /api/traces", "tags"): "a JSON object of strings, all of which it bears",
    ("get /api/traces", "tag"): "`key:value`; repeatable",
    ("get /api/traces", "lookback"): "how long before `end`, such as `1h`",
    ("get /api/traces", "minDuration"): "such as `200ms`",
    ("get /api/traces", "maxDuration"): "such as `1.5s`",
    ("get /api/traces", "traceID"): "instead of all others: these traces; repeatable",
    ("get /api/operations", "spanKind"): "only of this kind, such as `server`",
    ("get /api/dependencies", "endTs"): "unix milliseconds",
    ("get /api/dependencies", "lookback"): "milliseconds before `endTs`",
    ("get /api/dependencies", "service"): "only calls from or to it",
}  # fmt: skip
JAEGER: Final[dict[str, tuple[tuple[str, str, bool], ...]]] = {
    "get /api/operations": (("service", "string", True), ("spanKind", "string", False)),
    "get /api/traces": (
        ("service", "string", True),
        *(
            (name, "string", False)
            for name in ("operation", "tags", "tag", "lookback", "minDuration", "maxDuration")
        ),
        *((name, "integer", False) for name in ("start", "end", "limit")),
        ("traceID", "string", False),
    ),
    "get /api/dependencies": (
        ("endTs", "integer", False),
        ("lookback", "integer", False),
        ("service", "string", False),
    ),
}
"""Name, type, whether it must be given: of the calls that read their query themselves."""
BODIES: Final[dict[str, dict[str, Any]]] = {
    "patch /api/v1/findings/{finding_id}": {
        "type": "object",
        "properties": {
            "triage": {"enum": ["new", "acknowledged", "muted"]},
            "muted_until": {"type": ["string", "null"], "description": "RFC 3339"},
            "note": {"type": ["string", "null"]},
        },
        "example": {"triage": "acknowledged", "note": "seen, fix under way"},
    },
    "put /api/v1/topology": {
        "type": "object",
        "description": "A definitions document as RabbitMQ exports it, of a broker or of a vhost.",
        "example": {
            "exchanges": [{"name": "orders.events", "type": "topic", "durable": True}],
            "queues": [{"name": "billing.orders", "durable": True}],
            "bindings": [
                {
                    "source": "orders.events",
                    "destination": "billing.orders",
                    "destination_type": "queue",
                    "routing_key": "order.created",
                }
            ],
        },
    },
    "post /api/v1/sql": {
        "type": "object",
        "required": ["sql"],
        "properties": {
            "sql": {"type": "string", "description": "one SELECT"},
            "max_rows": {"type": "integer", "minimum": 1, "maximum": 10_000},
        },
        "example": {"sql": "SELECT queue, count(*) FROM deliveries GROUP BY queue"},
    },
}
"""JSON bodies, by call."""


def means(call: str, name: str) -> str:
    """What a parameter of a call (``method path``) means; empty where nobody said."""
    return _HERE.get((call, name)) or _ANYWHERE.get(name, "")
