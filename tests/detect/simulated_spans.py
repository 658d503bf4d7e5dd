"""Simulated histories as the OTLP that would have told them: by shims, which know all of it, or by
the instrumentation of other SDKs, which say little and round it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.detect.simulator import History

START_NS = 1_795_000_000_000_000_000
CLIENT, PRODUCER, CONSUMER = 3, 4, 5
Attributes = Mapping[str, Any]
Context = tuple[str, str]
"""Trace id and span id."""


@dataclass(slots=True)
class Span:
    """One span and the resource that it comes from."""

    service: str
    instance: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    about: str
    """The trace of the message's publish, wherever the span itself is; empty of a report."""
    parent: str | None = None
    links: list[Context] = field(default_factory=list[Context])
    error: str | None = None


def requests(spans: Iterable[Span], chance: random.Random) -> Iterator[bytes]:
    """The spans in requests of up to 200, in an order of chance, a few of them sent twice."""
    told = list(spans)
    chance.shuffle(told)
    told += told[:: max(1, len(told) // 20)]
    for at in range(0, len(told), 200):
        request = ExportTraceServiceRequest()
        for span in told[at : at + 200]:
            _add(request, span)
        yield request.SerializeToString()


def _add(request: ExportTraceServiceRequest, told: Span) -> None:
    group = request.resource_spans.add()
    said = {
        "service.name": told.service,
        "service.instance.id": told.instance,
        "host.name": f"host-{told.instance[1:]}",
    }
    for name, value in said.items():
        group.resource.attributes.add(key=name).value.string_value = value
    span = group.scope_spans.add().spans.add(
        name=told.name, kind=told.kind,
        trace_id=bytes.fromhex(told.trace_id), span_id=bytes.fromhex(told.span_id),
        start_time_unix_nano=told.start_ns, end_time_unix_nano=told.end_ns,
    )  # fmt: skip
    if told.parent is not None:
        span.parent_span_id = bytes.fromhex(told.parent)
    if told.error is not None:
        span.status.code, span.status.message = Status.STATUS_CODE_ERROR, told.error
    for trace_id, span_id in told.links:
        span.links.add(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id))
    for name, value in told.attributes.items():
        if value is None:
            continue
        item = span.attributes.add(key=name).value
        if isinstance(value, bool):  # before int: a bool is one
            item.bool_value = value
        elif isinstance(value, int):
            item.int_value = value
        elif isinstance(value, str):
            item.string_value = value
        else:
            for part in value:
                item.array_value.values.add(string_value=part)


def by_shims(history: History, chance: random.Random) -> Iterator[Span]:
    """All that shims know. A delivery continues its message's trace, or begins one with a link; one
    settled after its handler's end has a span of its own for that."""
    rows, at = history.rows(), _clock(1_000)
    producer, consumer = f"p{history.number}", f"c{history.number}"
    for row in rows["publish_facts"]:
        yield Span(
            "producer", producer, "send x", PRODUCER, row["trace_id"], row["span_id"], at(row["start_ns"]), at(row["end_ns"]),
            {
                **_common(row, row["exchange"], row["routing_key"]), "messaging.operation.type": "send",
                "strayline.stamp": _stamp(row), "strayline.mandatory": row["mandatory"], "strayline.outcome": row["outcome"],
                "strayline.body_hash": row["body_hash"], "strayline.priority": row["priority"],
            }, row["trace_id"],
        )  # fmt: skip
    stamps = {row["n"]: _stamp(row) for row in rows["publish_facts"]}
    for row in rows["delivery_facts"]:
        n = int(row["message"].rsplit(".", 1)[1])
        done: int | None = row["settled_ns"]
        later = done is not None and chance.random() < 0.2
        linked = chance.random() < 0.3
        own = _own_trace(row["span_id"]) if linked else row["trace_id"]
        settled = {
            "strayline.settlement": row["settlement"],
            "strayline.settled_unix_nano": None if done is None else at(done),
        }  # fmt: skip
        publish = (row["publish_trace_id"], row["publish_span_id"])
        yield Span(
            "consumer", consumer, "process work", CONSUMER, own, row["span_id"], at(row["handled_start_ns"]), at(row["handled_end_ns"]),
            {
                **_common(row, row["exchange"], row["routing_key"]), "messaging.operation.type": "process",
                "strayline.queue": row["queue"], "strayline.stamp": stamps[n], "strayline.consumer_tag": f"t{row['channel']}",
                "messaging.rabbitmq.message.delivery_tag": row["delivery_tag"], "strayline.redelivered": row["redelivered"],
                "strayline.death": json.loads(row["death"]) if row["death"] else None, "strayline.priority": row["priority"],
                "strayline.received_unix_nano": at(row["received_ns"]), **({"strayline.settlement": "none"} if later else settled),
            }, publish[0],
            None if linked else row["publish_span_id"], [publish] if linked else [],
        )  # fmt: skip
        if done is not None and later:
            yield Span(
                "consumer", consumer, "settle work", CLIENT, own, _settling(row["span_id"]), at(done), at(done) + 1,
                {"messaging.system": "rabbitmq", "messaging.operation.type": "settle", **settled}, publish[0], None, [(own, row["span_id"])],
            )  # fmt: skip
    for number, row in enumerate(rows["topology_facts"]):
        item = {
            **{k: row[k] for k in ("action", "kind", "name", "type", "durable", "source_name", "destination", "destination_kind", "routing_key")},
            "arguments": json.loads(row["arguments"]), "at_unix_nano": at(row["seen_ns"]),
        }  # fmt: skip
        doc = json.dumps({"items": [{k: v for k, v in item.items() if v is not None}]})
        yield _report(row, consumer, "topology", doc, at(row["seen_ns"]), number, history)
    for number, row in enumerate(rows["census"]):
        doc = json.loads(row["census"])
        doc["at_unix_nano"] = at(doc["at_unix_nano"])
        yield _report(row, consumer, "census", json.dumps(doc), at(row["at_ns"]), 100 + number, history)  # fmt: skip


def by_others(history: History, chance: random.Random) -> Iterator[Span]:
    """What amqplib's and contrib's instrumentations tell: neither stamp, channel, tag nor settlement
    but a status; the queue in the span's name; perhaps no ids; perhaps whole milliseconds. Of a
    channel that closed the span says that it waited too long, or never comes."""
    rows = history.rows()
    at = _clock(chance.choice([1_000_000, 1_000_003, 250_000]))
    rounds = chance.random() < 0.5
    ids, linked, modern = (chance.random() < 0.5 for _ in range(3))
    producer, consumer = f"p{history.number}", f"c{history.number}"

    def clock(units: int) -> int:
        return at(units) // 1_000_000 * 1_000_000 if rounds else at(units)

    def said(row: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"messaging.system": "rabbitmq", "messaging.url": f"amqp://broker:5672/{history.vhost}"}  # fmt: skip
        found["messaging.rabbitmq.destination.routing_key" if modern else "messaging.rabbitmq.routing_key"] = row["routing_key"]  # fmt: skip
        if ids:
            found["messaging.message.id" if modern else "messaging.message_id"] = row["message_id"]
        return found

    for row in rows["publish_facts"]:
        place = {"messaging.destination.name": "x:k"} if modern else {"messaging.destination": "x"}
        yield Span(
            "producer", producer, "publish x", PRODUCER, row["trace_id"], row["span_id"], clock(row["start_ns"]), clock(row["end_ns"]),
            {**said(row), **place}, row["trace_id"],
        )  # fmt: skip
    for row in rows["delivery_facts"]:
        error = _STATUS.get(row["settlement"])
        if row["settlement"] is None and chance.random() < 0.5:
            continue
        place = (
            {"messaging.destination.name": ":".join(filter(None, (row["exchange"], row["routing_key"], "work")))}
            if modern and row["exchange"] else {"messaging.destination": row["exchange"]}
        )  # fmt: skip
        publish = (row["publish_trace_id"], row["publish_span_id"])
        yield Span(
            "consumer", consumer, "work process", CONSUMER,
            _own_trace(row["span_id"]) if linked else row["trace_id"], row["span_id"], clock(row["handled_start_ns"]), clock(row["handled_end_ns"]),
            {**said(row), **place}, publish[0], None if linked else row["publish_span_id"], [publish] if linked else [], error,
        )  # fmt: skip


_STATUS = {
    "nack_requeue": "nack called on message with requeue",
    "reject_requeue": "reject called on message with requeue",
    "nack_drop": "nack called on message without requeue",
    "reject_drop": "reject called on message without requeue",
    None: "instrumentation timeout 60000ms",
}


def sampled(spans: Iterable[Span], share: float) -> Iterator[Span]:
    """Of so many messages every span, of the others none, as a sampler at the head decides and all after
    it follow; reports are never sampled away."""
    return (span for span in spans if not span.about or kept(span.about, share))


def kept(trace_id: str, share: float) -> bool:
    return int(hashlib.sha256(trace_id.encode()).hexdigest()[:8], 16) < share * 2**32


def _clock(unit_ns: int) -> Callable[[int], int]:
    return lambda units: START_NS + units * unit_ns


def _common(row: Mapping[str, Any], exchange: str, key: str) -> dict[str, Any]:
    return {
        "messaging.system": "rabbitmq", "strayline.broker": row["broker"], "strayline.vhost": row["vhost"],
        "strayline.exchange": exchange, "messaging.rabbitmq.destination.routing_key": key,
        "strayline.epoch": row["epoch"], "strayline.channel": row["channel"], "messaging.message.id": row["message_id"],
    }  # fmt: skip


def _stamp(row: Mapping[str, Any]) -> str:
    exchange, key = row["exchange"], row["routing_key"]
    print_ = hashlib.sha256(f"{len(exchange)}:{exchange}{len(key)}:{key}".encode()).hexdigest()[:4]
    keyed = f".{row['ordering_key']}.{row['k']}" if row["ordering_key"] else ""
    return f"1.{row['message']}.{print_}{keyed}"


def _report(
    row: Mapping[str, Any], instance: str, what: str, doc: str, at: int, number: int, of: History
) -> Span:
    return Span(
        row["service"], instance, f"strayline.{what}", CLIENT, f"{of.number:08x}{number + 1:024x}", f"{of.number:08x}f{number:07x}", at, at,
        {f"strayline.{what}": doc, "strayline.epoch": row["epoch"], "strayline.broker": row.get("broker"), "strayline.vhost": row.get("vhost")}, "",
    )  # fmt: skip


def _own_trace(span_id: str) -> str:
    return f"{'d' * 16}{span_id}"


def _settling(span_id: str) -> str:
    return f"{span_id[:8]}e{span_id[9:]}"
