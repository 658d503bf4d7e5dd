"""The tools of ``strayline mcp``: what each takes, and asks the API for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from strayline_collector.commands.mcp_api import Api, ToolProblem, given
from strayline_collector.commands.mcp_bounds import bounded, fitting, paged, part
from strayline_collector.query.wire import (
    NamedSegment,
    PathSegments,
    SpanSaid,
    StorySpan,
    StorySpans,
)

TraceId = Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$", description="32 hex digits")]
Text = Annotated[str, Field(max_length=1024)]
Time = Annotated[
    str, Field(max_length=64, description="RFC 3339 (2026-01-31T12:00:00Z) or unix nanoseconds")
]
Cursor = Annotated[str, Field(max_length=128, description="`next_cursor` of the answer before")]


class Arguments(BaseModel):
    """What a tool takes; nothing else is let through."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Tool:
    """A question with a name. ``ask`` gives a JSON document, ``answer`` its bounded text."""

    name: str
    description: str
    arguments: type[Arguments]
    ask: Callable[[Api, Any], Any]

    def answer(self, api: Api, arguments: Mapping[str, Any]) -> str:
        """Raises pydantic's ``ValidationError`` and ``ToolProblem``."""
        return bounded(self.ask(api, self.arguments.model_validate(arguments)))


class FindTraces(Arguments):
    q: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="Terms joined by AND: `service=billing duration>200ms http.status_code>=500 has:finding "
            "queue=billing.orders !route=/health text`. Fields: service operation kind status duration trace_id "
            "protocol queue exchange routing_key message_id, or any attribute; = != > >= < <= and ~ (contains); "
            "has: error finding link queue_wait.",
        ),
    ] = None
    start: Time | None = None
    end: Time | None = None
    sort: Literal["-start", "start", "-duration", "duration", "-errors", "errors", "-queue_wait", "queue_wait"] = "-start"  # fmt: skip
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Cursor | None = None


def _find_traces(api: Api, told: FindTraces) -> Any:
    def fetch(limit: int) -> Any:
        return api.get("/api/v1/traces", **{**told.model_dump(), "limit": limit})

    return paged(fetch, lambda item: item, told.limit, "narrow q, start and end")


class GetTrace(Arguments):
    trace_id: TraceId
    stitch: Annotated[bool, Field(description="With what led to it and followed, by links.")] = True
    span_id: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-fA-F]{16}$",
            description="Only this span, with its attributes; trace_id is then its own.",
        ),
    ] = None
    offset: Annotated[int, Field(ge=0, le=100_000, description="First span to show.")] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 200


def _get_trace(api: Api, told: GetTrace) -> Any:
    trace = told.trace_id.lower()
    if told.span_id is not None:
        one = api.get(f"/api/v1/traces/{trace}/spans/{told.span_id.lower()}")
        return {"spans": [{**span, "duration_ms": _duration(span)} for span in one["items"]]}
    page: StorySpans = api.get(
        f"/api/v1/traces/{trace}/spans",
        stitch="true" if told.stitch else "false",
        limit=told.limit,
        cursor=str(told.offset),
    )
    return {
        "trace_id": page["trace_id"],
        "stitched_trace_ids": page["stitched_trace_ids"],
        "start_unix_nano": page["start_unix_nano"],
        "span_count": page["span_count"],
        "truncated": page["truncated"],
        **part(
            "spans",
            page,
            lambda span: _short(span, page["start_unix_nano"], page["trace_id"]),
            told.offset,
            page["span_count"],
            "; span_id shows one with its attributes",
        ),
    }


def _short(span: StorySpan, start_ns: int, trace_id: str) -> dict[str, Any]:
    parent = span["display_parent"]
    said: dict[str, Any] = {
        "span_id": span["span_id"],
        "trace_id": None if span["trace_id"] == trace_id else span["trace_id"],
        "parent": None if parent is None else parent.partition("-")[2],
        "service": span["service"],
        "name": span["name"],
        "kind": span["kind"],
        "protocol": span["protocol"],
        "at_ms": _ms(span["start_unix_nano"] - start_ns),
        "duration_ms": _duration(span),
        "self_ms": _ms(span["self_ns"]),
        "status": None if span["status"] == "unset" else span["status"],
        "events": span["events"] or None,
        "queue": span["queue"],
        "queue_wait_ms": _ms(span["queue_wait_ns"]),
        "findings": span["findings"] or None,
    }
    return given(said)


def _duration(span: StorySpan | SpanSaid) -> float | None:
    return _ms(span["end_unix_nano"] - span["start_unix_nano"])


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


class GetCriticalPath(Arguments):
    trace_id: Annotated[TraceId | None, Field(description="Of one trace; or give service.")] = None
    service: Annotated[
        Text | None, Field(description="Added up over the newest calls of this service.")
    ] = None
    operation: Annotated[Text | None, Field(description="Of one operation of the service.")] = None
    start: Time | None = None
    end: Time | None = None
    limit: Annotated[int, Field(ge=1, le=1000, description="Calls to add up.")] = 100
    offset: Annotated[int, Field(ge=0, le=100_000, description="First segment to show.")] = 0


def _critical_path(api: Api, told: GetCriticalPath) -> Any:
    if (told.trace_id is None) == (told.service is None):
        raise ToolProblem("give trace_id (one trace) or service (added up), not both")
    if told.trace_id is None:
        asked = told.model_dump(exclude={"trace_id", "offset"})
        path = api.get("/api/v1/critical_path", **asked)
        rest = {"items": path["items"][told.offset :]}
        return {**path, **part("items", rest, lambda item: item, told.offset, len(path["items"]))}
    page: PathSegments = api.get(
        f"/api/v1/traces/{told.trace_id.lower()}/critical_path",
        stitch="true",
        limit=1000,
        cursor=str(told.offset),
    )
    return {
        "trace_id": page["trace_id"],
        "total_ms": _ms(page["total_ns"]),
        **part(
            "segments",
            page,
            lambda segment: _segment(segment, page["start_unix_nano"]),
            told.offset,
            page["segment_count"],
        ),
    }


def _segment(segment: NamedSegment, start_ns: int) -> dict[str, Any]:
    return {
        "kind": segment["kind"],
        "at_ms": _ms(segment["start_unix_nano"] - start_ns),
        "ms": _ms(segment["end_unix_nano"] - segment["start_unix_nano"]),
        "service": segment["service"],
        "name": segment["name"],
        "span_id": segment["span_id"],
    }


class GetFindings(Arguments):
    finding_id: Annotated[
        Text | None,
        Field(pattern="^fnd_[0-9a-f]+$", description="One, with its messages and its SQL."),
    ] = None
    kind: Annotated[Text | None, Field(description="Such as reordered, misrouted, lost.")] = None
    severity: Literal["info", "warning", "error"] | None = None
    status: Literal["provisional", "open", "retracted"] | None = None
    queue: Text | None = None
    since: Time | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Cursor | None = None


def _findings(api: Api, told: GetFindings) -> Any:
    if told.finding_id is not None:
        return api.get(f"/api/v1/findings/{told.finding_id}")
    asked = told.model_dump(exclude={"finding_id"})

    def fetch(limit: int) -> Any:
        return api.get("/api/v1/findings", **{**asked, "limit": limit})

    def shape(finding: Mapping[str, Any]) -> dict[str, Any]:
        left_out = ("messages", "messages_truncated", "sql", "explanation", "note", "muted_until")
        said = {name: value for name, value in finding.items() if name not in left_out}
        return {**said, "subject": given(finding["subject"])}

    page = paged(fetch, shape, told.limit, "filter by kind, queue or severity")
    return {**page, "one": "finding_id gives one with its explanation, messages and SQL"}


class MessageJourney(Arguments):
    message: Annotated[
        str | None,
        Field(
            max_length=256,
            pattern="^[0-9a-fA-F]{32}-[0-9a-fA-F]{16}$",
            description="`trace_id-producer_span_id`, as findings and this tool give it.",
        ),
    ] = None
    message_id: Annotated[Text | None, Field(description="The AMQP message id.")] = None
    trace_id: TraceId | None = None
    queue: Text | None = None
    limit: Annotated[int, Field(ge=1, le=50)] = 10
    cursor: Cursor | None = None


def _message_journey(api: Api, told: MessageJourney) -> Any:
    if told.message is not None:
        return api.get(f"/api/v1/messages/{told.message.lower()}/journey")
    if not (told.message_id or told.trace_id or told.queue):
        raise ToolProblem("give message, or message_id, trace_id or queue to find messages by")
    asked = told.model_dump(exclude={"message"})

    def fetch(limit: int) -> Any:
        return api.get("/api/v1/messages", **{**asked, "limit": limit})

    return paged(fetch, lambda item: item, told.limit, "give message_id, trace_id or queue")


class AskSql(Arguments):
    sql: Annotated[str, Field(min_length=1, max_length=65_536, description="One SELECT.")]
    max_rows: Annotated[int, Field(ge=1, le=500)] = 50


def _sql(api: Api, told: AskSql) -> Any:
    answer = api.post("/api/v1/sql", {"sql": told.sql, "max_rows": told.max_rows})
    fit = fitting(answer["rows"])
    if fit < len(answer["rows"]) or answer["truncated"]:
        answer["cut"] = f"{fit} rows shown, there are more: aggregate, filter, or LIMIT and OFFSET"
    return {**answer, "rows": answer["rows"][:fit]}


TOOLS: Final = (
    Tool(
        "find_traces",
        "Traces by a query line, with their duration, errors, services, queue wait and findings.",
        FindTraces,
        _find_traces,
    ),
    Tool(
        "get_trace",
        "One trace's spans in drawing order, across links and queues; with span_id one span whole.",
        GetTrace,
        _get_trace,
    ),
    Tool(
        "critical_path",
        "What the end of a trace waited for, queue waits and network gaps among it; or, by service, "
        "where the time of an operation goes over many calls.",
        GetCriticalPath,
        _critical_path,
    ),
    Tool(
        "findings",
        "What is wrong: messages reordered, misrouted, lost, duplicated, stuck; each an incident "
        "with cause and remedy. One by finding_id, with its messages.",
        GetFindings,
        _findings,
    ),
    Tool(
        "message_journey",
        "Where one message went: publish, exchange, queues, deliveries, settlements; or messages by "
        "message_id, trace_id or queue.",
        MessageJourney,
        _message_journey,
    ),
    Tool(
        "sql",
        "Read-only SQL (DuckDB) over the views spans, publishes, deliveries, settlements, topology, "
        "findings, verdicts; SELECT * FROM spans LIMIT 1 shows the columns. start and end are unix "
        "nanoseconds, attributes JSON: attributes->>'http.route'. Limited in time, memory and rows.",
        AskSql,
        _sql,
    ),
)
