"""The query line: SQL says what a plain reading of the same spans says; errors say where and why."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from strayline_collector.decode.otlp import decode
from strayline_collector.errors import BadInput, NotUnderstood
from strayline_collector.query.search import SAME_NAME, compile_search
from strayline_collector.query.search_line import parse_line, quoted, quoted_name
from strayline_collector.query.traces import search_traces
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.corpus import load_recording
from tests.support.rounds import rounds

BASE_NS = 1_795_000_000_000_000_000
WINDOW_NS = 1_000_000_000_000
EVERYTHING = {"start_ns": 0, "end_ns": 2**63 - 1}
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}

# ---- generated spans --------------------------------------------------------------------------

VALUES = st.sampled_from(
    [
        "200",
        200,
        404,
        "500",
        1.5,
        -3,
        0,
        True,
        "GET",
        "get /Orders",
        "a b",
        'q"\\',
        "",
        "1e3",
        "nan",
        "user-1234",
        "cart-1234",  # ends as the one before does from its rarest character on
    ]
)
NAMES = st.sampled_from(
    ["http.status_code", "http.response.status_code", "http.route", "x", "a/b~c", "has:x=\"y\\", "weird:na-me", "http.request.method", "messaging.system", "rpc.system", "db.system"]
)  # fmt: skip


@dataclass
class Made:
    """A span as it is sent."""

    service: str
    name: str
    kind: int
    status: int
    start: int
    length: int
    linked: int | None
    attributes: dict[str, Any]
    resource: dict[str, Any]
    trace: int = 0


spans = st.builds(
    Made,
    service=st.sampled_from(["billing", "orders", "Käse"]),
    name=st.sampled_from(["GET /orders", "get", "publish", "ÄB c", "x=1"]),
    kind=st.integers(0, 5),
    status=st.integers(0, 2),
    start=st.integers(0, 50),
    length=st.integers(0, 6),
    linked=st.none() | st.none() | st.integers(0, 4),
    attributes=st.dictionaries(NAMES, VALUES, max_size=3),
    resource=st.dictionaries(st.sampled_from(["x", "host.name"]), VALUES, max_size=1),
)
MADE = st.lists(st.lists(spans, min_size=1, max_size=4), min_size=1, max_size=5)


def _request(traces: list[list[Made]], window: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    numbers = itertools.count(1)
    for trace, made in enumerate(traces):
        for span in made:
            out = request.resource_spans.add()
            _put(out.resource.attributes, {"service.name": span.service, **span.resource})
            start = BASE_NS + window * WINDOW_NS + span.start * 1_000_000_000
            sent = out.scope_spans.add().spans.add(
                trace_id=_trace_id(window, trace), span_id=next(numbers).to_bytes(8, "big"), name=span.name, kind=span.kind,
                start_time_unix_nano=start, end_time_unix_nano=start + span.length * 100_000_000,
            )  # fmt: skip
            sent.status.code = span.status
            _put(sent.attributes, span.attributes)
            if span.linked is not None:
                sent.links.add(trace_id=_trace_id(window, span.linked), span_id=b"\x01" * 8)
    return request


def _trace_id(window: int, trace: int) -> bytes:
    return (window << 8 | trace).to_bytes(16, "big")


def _put(into: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        item = into.add(key=name).value
        if isinstance(value, bool):
            item.bool_value = value
        elif isinstance(value, int):
            item.int_value = value
        elif isinstance(value, float):
            item.double_value = value
        else:
            item.string_value = value


# ---- the plain reading ------------------------------------------------------------------------

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "~": lambda a, b: str(b).lower() in str(a).lower(),
}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _told(span: Made, name: str) -> str | None:
    names = next((same for same in SAME_NAME if name in same), (name,))
    for where in (span.attributes, span.resource):
        for one in names:
            if one in where:
                return _text(where[one])
    return None


def _protocol(span: Made) -> str | None:
    told = span.attributes
    system = _promoted(told, "messaging.system")
    if system is not None:
        return "amqp" if system == "rabbitmq" else "other"
    rpc = _promoted(told, "rpc.system")
    if rpc is not None:
        return "grpc" if rpc == "grpc" else "other"
    if _promoted(told, "http.request.method") is not None:
        return "http"
    return "other" if _promoted(told, "db.system") is not None else None


def _promoted(told: dict[str, Any], name: str) -> Any:
    value = told.get(name)
    return value if isinstance(value, (str, int)) else None


def _holds(term: tuple[str, str, str], span: Made) -> bool:
    name, op, value = term
    if name == "text":
        return value.lower() in span.name.lower()
    plain: dict[str, Any] = {
        "service": span.service,
        "operation": span.name,
        "kind": KINDS[span.kind],
        "status": STATUSES[span.status],
    }
    if name == "protocol":
        told = _protocol(span)
        return told is not None and COMPARE[op](told, value)
    if name in plain:
        return COMPARE[op](plain[name], value)
    told = _told(span, name)
    if told is None:
        return False
    as_number = float(told) if NUMBER.fullmatch(told) else None
    wanted = float(value) if NUMBER.fullmatch(value) else None
    if op in (">", ">=", "<", "<="):
        return as_number is not None and COMPARE[op](as_number, wanted)
    plain = "e" not in told.lower() + value.lower()
    same = told == value or (plain and as_number is not None and as_number == wanted)
    return COMPARE[op](told, value) if op == "~" else same == (op == "=")


def _matches(terms: list[tuple[bool, tuple[str, str, str]]], trace: int, traces: list[list[Made]]) -> bool:  # fmt: skip
    made = traces[trace]
    for negated, term in terms:
        if term[0] == "has":
            linked = {span.linked for other in traces for span in other}
            found = {
                "error": any(span.status == 2 for span in made),
                "link": trace in linked or any(span.linked is not None for span in made),
                "finding": False,
                "queue_wait": False,
            }[term[2]]
        elif term[0] == "duration":
            number, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", term[2]).groups()  # type: ignore[union-attr]
            length = max(s.start * 10 + s.length for s in made) - min(s.start * 10 for s in made)
            found = COMPARE[term[1]](length * 100_000_000, float(number) * UNITS[unit])
        else:
            found = any(_holds(term, span) for span in made)
        if found == negated:
            return False
    return True


# ---- generated lines --------------------------------------------------------------------------

EQUAL, ORDERED = st.sampled_from(["=", "!=", "~"]), st.sampled_from([">", ">=", "<", "<="])
TERMS = st.one_of(
    st.tuples(st.just("service"), EQUAL, st.sampled_from(["billing", "ill", "Käse", "none"])),
    st.tuples(st.just("operation"), EQUAL, st.sampled_from(["GET /orders", "GET", "x=1", "äb"])),
    st.tuples(st.just("kind"), st.sampled_from(["=", "!="]), st.sampled_from(KINDS)),
    st.tuples(st.just("status"), st.sampled_from(["=", "!="]), st.sampled_from(STATUSES)),
    st.tuples(st.just("protocol"), st.sampled_from(["=", "!="]), st.sampled_from(["http", "grpc", "amqp", "other"])),
    st.tuples(st.just("duration"), st.one_of(ORDERED, st.sampled_from(["=", "!="])), st.sampled_from(["0ns", "300ms", "0.3s", "1.5s", "1m"])),
    st.tuples(st.just("has"), st.just(":"), st.sampled_from(["error", "link", "finding", "queue_wait"])),
    st.tuples(st.just("text"), st.just(""), st.sampled_from(["get", "ORDERS", "x=1", "äb c", "z"])),
    st.tuples(NAMES, EQUAL, VALUES.map(_text)),
    st.tuples(NAMES, ORDERED, st.sampled_from(["200", "1.5", "-3", "1e3", "0", ".5"])),
)  # fmt: skip
LINES = st.lists(st.tuples(st.booleans(), TERMS), max_size=4)


def _line(terms: list[tuple[bool, tuple[str, str, str]]]) -> str:
    parts: list[str] = []
    for negated, (name, op, value) in terms:
        sign = "!" if negated else ""
        if name == "text":
            parts.append(f'{sign}"{value}"')
        else:
            shown = value if name == "has" else quoted(value)
            parts.append(f"{sign}{name if name == 'has' else quoted_name(name)}{op}{shown}")
    return " ".join(parts)


@dataclass
class Shared:
    store: DuckDBStore = field(default_factory=lambda: DuckDBStore.open(":memory:"))
    windows: Iterator[int] = field(default_factory=lambda: itertools.count(1))


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    made = Shared()
    yield made
    made.store.close()


def _pages(store: DuckDBStore, q: str, range_ns: dict[str, int], sort: str, limit: int) -> list[Any]:  # fmt: skip
    items: list[Any] = []
    cursor: str | None = None
    while True:
        search = compile_search(q, range_ns=range_ns, service=None, sort=sort)
        with store.read() as session:
            page = search_traces(session, search, limit=limit, cursor=cursor)
        assert len(page["items"]) == limit or page["next_cursor"] is None
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


@settings(
    max_examples=rounds(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    traces=MADE,
    terms=LINES,
    sort=st.sampled_from(["start", "duration", "errors", "queue_wait"]),
    descending=st.booleans(),
    limit=st.integers(1, 3),
)
def test_a_search_finds_and_orders_what_a_plain_reading_does(
    shared: Shared,
    traces: list[list[Made]],
    terms: list[tuple[bool, tuple[str, str, str]]],
    sort: str,
    descending: bool,
    limit: int,
) -> None:
    window = next(shared.windows)
    body = _request(traces, window).SerializeToString()
    shared.store.append(decode([body], window), Position(1, window), window)
    start = BASE_NS + window * WINDOW_NS
    order = ("-" if descending else "") + sort
    range_ns = {"start_ns": start, "end_ns": start + WINDOW_NS - 1}
    found = _pages(shared.store, _line(terms), range_ns, order, limit)
    wanted = {_trace_id(window, n).hex() for n in range(len(traces)) if _matches(terms, n, traces)}
    assert len(found) == len(wanted)
    assert {item["trace_id"] for item in found} == wanted
    of = {"start": "start_unix_nano", "duration": "duration_ms", "errors": "errors"}.get(sort)
    if of is not None:
        sign = -1 if descending else 1
        keys = [(sign * item[of], item["trace_id"]) for item in found]
        assert keys == sorted(keys)


@settings(
    max_examples=rounds(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(q=st.text(st.sampled_from("ab.=!<>~:\" \\'é\x00;-%_0"), max_size=12) | st.text(max_size=12))
def test_any_line_is_answered_or_refused_with_a_position_within_it(shared: Shared, q: str) -> None:
    try:
        search = compile_search(q, range_ns=EVERYTHING, service=None, sort=None)
    except NotUnderstood as refused:
        error = refused
    else:
        with shared.store.read() as session:
            search_traces(session, search, limit=1)
        return
    assert 1 <= error.position <= len(q) + 1
    assert error.expected


@given(st.text(max_size=20))
@settings(max_examples=60)
def test_every_value_can_be_written(value: str) -> None:
    (term,) = parse_line(f"!x={quoted(value)}")
    assert (term.negated, term.field, term.op, term.value) == (True, "x", "=", value)
    if value:
        (term,) = parse_line(f"{quoted_name(value)}>=5")
        assert (term.negated, term.field, term.op, term.value) == (False, value, ">=", "5")


@pytest.mark.parametrize(
    ("q", "position", "expected"),
    [
        ("service=billing duration>fast", 26, "a duration such as"),
        ("duration~1s", 10, "a duration such as"),
        ("kind=king", 6, "one of unspecified, internal, server"),
        ("status>ok", 8, "status= or != one of unset, ok, error"),
        ("has:errors", 5, "has: one of error, finding, link, queue_wait"),
        ("has:", 5, "a word after has:"),
        ("service=", 9, "a value"),
        ("a=1 service= \t", 15, "a value"),
        ('a="b', 5, 'a closing "'),
        ('a="b"c=d', 6, "a space between terms"),
        ("=5", 1, "field=value, has:word or text"),
        ("a==5", 3, "a value (in double quotes where it begins with =)"),
        ('"a b"=', 7, "a value"),
        ('"a b">x', 7, "a number"),
        ('"a b"x', 6, "a space between terms"),
        ("!!a=5", 2, "field=value, has:word or text"),
        ("http.status_code>=5xx", 19, "a number"),
        ("service>a", 9, "service with = != or ~"),
        ("protocol=smtp", 10, "one of http, grpc, amqp, other"),
        (" ".join(["a"] * 33), 65, "at most 32 terms"),
        ("AND a=1", 1, "a term before AND"),
        ("a=1 AND", 8, "a term after AND"),
        ("a=1 AND AND b=2", 9, "a term after AND"),
        ("a=1 OR b=2", 5, '"OR" in quotes for the word'),
        ("a=1 AND NOT b=2", 9, "! for not"),
        ("(a=1)", 1, "without brackets"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(q: str, position: int, expected: str) -> None:
    with pytest.raises(NotUnderstood) as caught:
        compile_search(q, range_ns=EVERYTHING, service=None, sort=None)
    assert caught.value.position == position
    assert expected in str(caught.value)


def test_sorts_and_cursors_of_others_are_refused(shared: Shared) -> None:
    with pytest.raises(BadInput, match="sort=name: expected one of start, duration, errors"):
        compile_search(None, range_ns=EVERYTHING, service=None, sort="name")
    for cursor in ("-start~5~ab", "duration~nan~ab", "duration~5~", "duration~9e99~ab", "x"):
        search = compile_search(None, range_ns=EVERYTHING, service=None, sort="duration")
        with shared.store.read() as session, pytest.raises(BadInput, match="next_cursor"):
            search_traces(session, search, limit=1, cursor=cursor)


def test_a_messages_fields_find_the_traces_that_it_touched() -> None:
    store = DuckDBStore.open(":memory:")
    load_recording(store, "d_reorder_nack")
    with store.read() as session:
        touched = {
            name: {row["trace_id"] for row in session.rows(
                f"SELECT trace_id FROM deliveries WHERE {name} = $v UNION SELECT p.trace_id FROM publishes p"
                f" JOIN deliveries d USING (message) WHERE d.{name} = $v", {"v": value})}
            for name, value in (("queue", "billing.orders"), ("routing_key", "order.created"), ("exchange", ""))
        }  # fmt: skip
        everything = {
            row["trace_id"] for row in session.rows("SELECT trace_id FROM distinct_spans")
        }
    assert touched["queue"]
    for q, wanted in (
        ("queue=billing.orders", touched["queue"]),
        ("!queue=billing.orders", everything - touched["queue"]),
        ("queue~LLING.ord", touched["queue"]),
        ("queue=none", set[str]()),
        ("!message_id=none", everything),
        ("routing_key=order.created queue=billing.orders", touched["queue"]),
        ("routing_key=order.created AND queue=billing.orders", touched["queue"]),
        ("exchange=(default)", touched["exchange"]),
        ("!exchange=(default)", everything - touched["exchange"]),
    ):
        found = _pages(store, q, EVERYTHING, "-queue_wait", 300)
        assert {item["trace_id"] for item in found} == wanted, q
        waits = [item["queue_wait_ms"] or 0.0 for item in found]
        assert waits == sorted(waits, reverse=True)
        waited = _pages(store, f"{q} has:queue_wait", EVERYTHING, "start", 300)
        assert len(waited) == sum(wait > 0 for wait in waits)
    store.close()


def test_spans_of_nameless_processes_are_found_outside_the_times_of_named_ones() -> None:
    store = DuckDBStore.open(":memory:")
    named = Made("billing", "b", 2, 0, 20, 1, None, {}, {"service.instance.id": "one"})
    others = [Made("orders", name, 2, 0, at, 1, None, {}, {}) for name, at in (("a", 0), ("c", 50))]
    body = _request([[others[0]], [named], [others[1]]], 1).SerializeToString()
    for limit in (1, 5):
        assert _pages(store, "", EVERYTHING, "-start", limit) == []
    store.append(decode([body], 1), Position(1, 1), 1)
    for sort, wanted in (("-start", "cba"), ("start", "abc")):
        for limit in (1, 5):
            found = _pages(store, "", EVERYTHING, sort, limit)
            assert "".join(item["root_name"] for item in found) == wanted
    store.close()
