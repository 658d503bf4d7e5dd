"""OpenTelemetry's semantic conventions 1.44 for messaging and RabbitMQ, as a table: what a span
has to say, and when. Held against every span that the suite makes, whatever the test is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

Attributes = Mapping[str, Any]
When = Callable[[ReadableSpan, Attributes], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """``attribute`` is there, of that type, whenever ``when`` holds; ``only``: and never else."""

    attribute: str
    type: type
    says: str
    when: When
    only: bool = False


KINDS: Final = {
    "send": SpanKind.PRODUCER,  # its context is the one that is injected
    "receive": SpanKind.CLIENT,
    "process": SpanKind.CONSUMER,
    "settle": SpanKind.CLIENT,
}
NAMES: Final = {
    "send": {"publish"},
    "receive": {"get"},
    "process": {"process"},
    "settle": {"ack", "nack", "reject"},
}


def _always(span: ReadableSpan, attributes: Attributes) -> bool:
    return True


def _of(*types: str) -> When:
    return lambda span, attributes: attributes.get("messaging.operation.type") in types


def _failed(span: ReadableSpan, attributes: Attributes) -> bool:
    return span.status.status_code is StatusCode.ERROR


def _is_batch(span: ReadableSpan, attributes: Attributes) -> bool:
    return attributes.get("messaging.operation.type") == "settle" and len(span.links) > 1


def _is_anonymous(span: ReadableSpan, attributes: Attributes) -> bool:
    name = attributes.get("strayline.queue")
    if name is None and attributes.get("strayline.exchange") == "":
        name = attributes.get("messaging.rabbitmq.destination.routing_key")
    return str(name).startswith(("amq.gen-", "amq.rabbitmq.reply-to")) and _of(
        "send", "receive", "process"
    )(span, attributes)


TABLE: Final = (
    Rule("messaging.system", str, "required", _always),
    Rule("messaging.operation.name", str, "required", _always),
    Rule("messaging.operation.type", str, "if applicable", _of(*KINDS)),
    Rule("messaging.destination.name", str, "of one message, or one for all", _of(*KINDS)),
    Rule(
        "messaging.rabbitmq.message.delivery_tag",
        int,
        "when available",
        _of("receive", "process", "settle"),
        only=True,
    ),
    Rule("messaging.batch.message_count", int, "on a batch, never else", _is_batch, only=True),
    Rule("messaging.destination.anonymous", bool, "if true", _is_anonymous, only=True),
    Rule("messaging.destination.temporary", bool, "if true", _is_anonymous, only=True),
    Rule("error.type", str, "if and only if it failed", _failed, only=True),
    Rule("server.address", str, "if available", _always),
    Rule("server.port", int, "recommended", _always),
    Rule(
        "messaging.message.body.size", int, "asked for by us", _of("send", "receive", "process")
    ),
)  # fmt: skip


def broken_rules(span: ReadableSpan) -> list[str]:
    """What the conventions miss in a messaging span, in words."""
    attributes = dict(span.attributes or {})
    found: list[str] = []
    for rule in TABLE:
        value = attributes.get(rule.attribute)
        applies = rule.when(span, attributes)
        missed = applies and type(value) is not rule.type
        if missed or (rule.only and not applies and value is not None):
            found.append(f"{rule.attribute} ({rule.says}) is {value!r}")
    if attributes.get("messaging.system") != "rabbitmq":
        found.append("messaging.system is not rabbitmq")
    operation = str(attributes.get("messaging.operation.type"))
    name = str(attributes.get("messaging.operation.name"))
    if operation in KINDS:
        if span.kind is not KINDS[operation]:
            found.append(f"a span of {operation} is {span.kind}")
        if name not in NAMES[operation]:
            found.append(f"{operation} is called {name}")
        if operation != "settle" and attributes["messaging.destination.name"] != _composed(
            attributes
        ):
            found.append("the destination's name is not what exchange, key and queue make")
    if span.name.partition(" ")[0] != name:
        found.append(f"the span's name does not begin with {name}")
    if operation == "process" and span.parent is not None and not span.links:
        found.append("the message's creation context is not linked")
    return [f"{span.name}: {each}" for each in found]


def _composed(attributes: Attributes) -> str:
    """``{exchange}:{routing key}:{queue}``, empty ones left out, equal ones once: so that a routing
    key, required if not empty, cannot be missing."""
    names = ("strayline.exchange", "messaging.rabbitmq.destination.routing_key", "strayline.queue")
    parts = [attributes[name] for name in names if attributes.get(name)]
    return ":".join(dict.fromkeys(parts)) or "amq.default"
