"""The tools of ``strayline mcp``: what each takes, asks the API for, and says in bounded size."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from strayline_collector.query.wire import CriticalSegment, Span

MAX_CHARS: Final = 24_000
"""Of one answer: some 7,000 tokens, of which a model's context holds many."""
CUTS: Final = ((400, 30), (160, 10), (60, 4), (30, 2), (10, 1))
"""Characters of a text and items of a list, tried until an answer fits."""

TraceId = Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$", description="32 hex digits")]
Text = Annotated[str, Field(max_length=1024)]
Time = Annotated[
    str, Field(max_length=64, description="RFC 3339 (2026-01-31T12:00:00Z) or unix nanoseconds")
]
Cursor = Annotated[str, Field(max_length=128, description="`next_cursor` of the answer before")]


class ToolProblem(Exception):
    """Why a tool cannot answer; its text is for the model to read and act on."""


class Arguments(BaseModel):
    """What a tool takes; nothing else is let through."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Api:
    """The collector's API. Raises ``ToolProblem`` with its own words."""

    client: httpx.Client
    address: str

    def get(self, path: str, **params: Any) -> Any:
        return self._answer("GET", path, params=_given(params))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        return self._answer("POST", path, json=document)

    def _answer(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self.client.request(method, path, **how)
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ToolProblem(
                f"no collector answers at {self.address} ({str(error) or type(error).__name__}); start one with: strayline up"
            ) from None
        if answer.status_code != 200:
            raise ToolProblem(str(document.get("detail", f"HTTP {answer.status_code}")))
        return document


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


# ---- size ---------------------------------------------------------------------------------------


def bounded(document: Any) -> str:
    """As JSON of at most ``MAX_CHARS``: long texts and lists are cut until it fits, and say so."""
    for characters, items in CUTS:
        text = _json(clipped(document, characters, items))
        if len(text) <= MAX_CHARS:
            return text
    raise ToolProblem("the answer is too large however it is cut; ask for less")


def clipped(value: Any, characters: int, items: int) -> Any:
    """``value`` with its texts and lists cut. Lists that were cut to fit on purpose (``items``,
    ``spans``, ``rows``, ``segments``) stay as they are."""
    if isinstance(value, str):
        more = len(value) - characters
        return value if more <= 0 else f"{value[:characters]}… (+{more:,} characters)"
    if isinstance(value, Mapping):
        kept = {
            str(name)[:200]: (
                [clipped(item, characters, items) for item in inner]
                if name in _FITTED and isinstance(inner, list)
                else clipped(inner, characters, items)
            )
            for name, inner in list(value.items())[: items * 4]
        }
        more = len(value) - len(kept)
        return kept if more <= 0 else {**kept, "…": f"{more:,} more"}
    if isinstance(value, list):
        kept = [clipped(item, characters, items) for item in value[:items]]
        more = len(value) - len(kept)
        return kept if more <= 0 else [*kept, f"… {more:,} more"]
    return value


_FITTED: Final = frozenset({"items", "spans", "rows", "segments"})


def fitting(items: Sequence[Any]) -> int:
    """How many of ``items``, cut as an answer is first, fit into one."""
    room = MAX_CHARS - 1_500
    for number, item in enumerate(items):
        room -= len(_json(clipped(item, *CUTS[0]))) + 1
        if room < 0:
            return max(1, number)
    return len(items)


def _paged(
    fetch: Callable[[int], Any], shape: Callable[[Any], Any], limit: int, more: str
) -> dict[str, Any]:
    """A page of as many as fit, asked for again where fewer do, so that its cursor goes on."""
    page = fetch(limit)
    items = [shape(item) for item in page["items"]]
    fit = fitting(items)
    if fit < len(items):
        page, items = fetch(fit), items[:fit]
    answer: dict[str, Any] = {"items": items, "next_cursor": page["next_cursor"]}
    if page["next_cursor"] is not None:
        answer["cut"] = f"{len(items)} shown, there are more: {more}, or pass next_cursor as cursor"
    return answer


def _part(name: str, items: Sequence[Any], offset: int, limit: int, more: str) -> dict[str, Any]:
    wanted = items[offset : offset + limit]
    fit = wanted[: fitting(wanted)]
    answer: dict[str, Any] = {name: list(fit)}
    if offset + len(fit) < len(items):
        after = offset + len(fit)
        answer["cut"] = (
            f"{name} {offset} to {after - 1} of {len(items)}: ask with offset={after}{more}"
        )
    return answer


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


# ---- tools --------------------------------------------------------------------------------------


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

    return _paged(fetch, lambda item: item, told.limit, "narrow q, start and end")


class GetTrace(Arguments):
    trace_id: TraceId
    stitch: Annotated[bool, Field(description="With what led to it and followed, by links.")] = True
    span_id: Annotated[
        str | None,
        Field(pattern="^[0-9a-fA-F]{16}$", description="Only this span, with its attributes."),
    ] = None
    offset: Annotated[int, Field(ge=0, le=100_000, description="First span to show.")] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 200


def _get_trace(api: Api, told: GetTrace) -> Any:
    trace = _trace(api, told.trace_id, told.stitch)
    spans: list[Span] = trace["spans"]
    start_ns = min(span["start_unix_nano"] for span in spans)
    if told.span_id is not None:
        found = [span for span in spans if span["span_id"] == told.span_id.lower()]
        if not found:
            raise ToolProblem(f"no span {told.span_id} in trace {told.trace_id}")
        return {"spans": [{**span, "duration_ms": _duration(span)} for span in found]}
    return {
        "trace_id": trace["trace_id"],
        "stitched_trace_ids": trace["stitched_trace_ids"],
        "start_unix_nano": start_ns,
        "span_count": len(spans),
        "truncated": trace["truncated"],
        **_part(
            "spans",
            [_short(span, start_ns, trace["trace_id"]) for span in spans],
            told.offset,
            told.limit,
            "; span_id shows one with its attributes",
        ),
    }


def _short(span: Span, start_ns: int, trace_id: str) -> dict[str, Any]:
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
        "status_message": span["status_message"] or None,
        "queue": span["queue"],
        "queue_wait_ms": _ms(span["queue_wait_ns"]),
        "findings": span["findings"] or None,
    }
    return _given(said)


def _duration(span: Span) -> float | None:
    return _ms(span["end_unix_nano"] - span["start_unix_nano"])


def _trace(api: Api, trace_id: str, stitch: bool) -> Any:
    return api.get(f"/api/v1/traces/{trace_id.lower()}", stitch="true" if stitch else "false")


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
        return {**path, **_part("items", path["items"], told.offset, 1000, "")}
    trace = _trace(api, told.trace_id, True)
    spans: dict[tuple[str, str], Span] = {
        (span["trace_id"], span["span_id"]): span for span in trace["spans"]
    }
    segments: list[CriticalSegment] = trace["critical_path"]
    start_ns = segments[0]["start_unix_nano"] if segments else 0
    said = [_segment(segment, spans, start_ns) for segment in segments]
    total = sum(s["end_unix_nano"] - s["start_unix_nano"] for s in segments)
    return {
        "trace_id": trace["trace_id"],
        "total_ms": _ms(total),
        **_part("segments", said, told.offset, 1000, ""),
    }


def _segment(
    segment: CriticalSegment, spans: Mapping[tuple[str, str], Span], start_ns: int
) -> dict[str, Any]:
    span = spans.get((segment["trace_id"], segment["span_id"]))
    return {
        "kind": segment["kind"],
        "at_ms": _ms(segment["start_unix_nano"] - start_ns),
        "ms": _ms(segment["end_unix_nano"] - segment["start_unix_nano"]),
        "service": None if span is None else span["service"],
        "name": None if span is None else span["name"],
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
        return {**said, "subject": _given(finding["subject"])}

    page = _paged(fetch, shape, told.limit, "filter by kind, queue or severity")
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

    return _paged(fetch, lambda item: item, told.limit, "give message_id, trace_id or queue")


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
