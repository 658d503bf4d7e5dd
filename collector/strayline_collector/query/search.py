"""The query line's meaning: its terms compiled to SQL with every value bound.

A field holds for any span of the trace that started within the range, ``duration`` for the trace
as a whole, a message's fields for what the trace published or was delivered. ``!=`` asks for a
span that has the field with another value; a leading ``!`` for traces that the term does not hold
for at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from strayline_collector.errors import BadInput
from strayline_collector.query.params import exchange_named
from strayline_collector.query.search_line import Term, parse_line
from strayline_collector.store.duckdb.queries import load

KINDS: Final = {"unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}  # fmt: skip
STATUSES: Final = {"unset": 0, "ok": 1, "error": 2}
PROTOCOLS: Final = ("http", "grpc", "amqp", "other")
MESSAGE_FIELDS: Final = ("queue", "exchange", "routing_key", "message_id")
FIELDS: Final = (
    "service", "operation", "kind", "status", "duration", "trace_id", "protocol", *MESSAGE_FIELDS,
)  # fmt: skip
SAME_NAME: Final = (
    ("http.request.method", "http.method"),
    ("http.response.status_code", "http.status_code"),
    ("http.route", "route"),
    ("url.full", "http.url"),
    ("server.address", "net.peer.name"),
    ("server.port", "net.peer.port"),
    ("rpc.system.name", "rpc.system"),
    ("rpc.response.status_code", "rpc.grpc.status_code"),
    ("db.system.name", "db.system"),
    ("messaging.operation.type", "messaging.operation"),
    ("service.peer.name", "peer.service"),
    ("deployment.environment.name", "deployment.environment"),
)
"""Names that OpenTelemetry's conventions changed: either finds both, the new one first."""

_DURATION: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m)")
_UNITS: Final = {
    "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
}  # fmt: skip
_NUMBER: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_DECIMAL: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
_WHOLE: Final = re.compile(r"0|[1-9][0-9]*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 .:_@+-]+")
"""Text that JSON writes in one way only."""
_FREQUENT: Final = "rt.eoms:aupnchdvq02il_1/GTEg7596kw3y8Pb4@AMQ-COfS"
"""Characters of spans' attributes, in the order in which a text is likely to have one near its beginning;
the others are rarer (recorded traffic and the benchmark's)."""
_LEAST_TAIL: Final = 4
_OF_SPANS: Final = ("http.", "url.", "rpc.", "messaging.", "db.", "server.", "client.", "network.")
"""What only spans say by OpenTelemetry's conventions: no resource is read for it."""
_EXACT: Final = 2**53
"""Whole numbers beyond this are told apart as text only."""
_ORDER: Final = (">", ">=", "<", "<=")
_HAS: Final = {
    "error": "t.errors > 0",
    "finding": "coalesce(f.findings, 0) > 0",
    "link": "(t.trace_id IN (SELECT trace_id FROM span_links) OR t.trace_id IN (SELECT to_trace_id FROM span_links))",
    "queue_wait": "coalesce(w.queue_wait_ms, 0) > 0",
}
HAS: Final = tuple(_HAS)
_PROTOCOL: Final = """CASE WHEN messaging_system = 'rabbitmq' THEN 'amqp' WHEN messaging_system IS NOT NULL THEN 'other'
    WHEN rpc_system = 'grpc' THEN 'grpc' WHEN rpc_system IS NOT NULL THEN 'other'
    WHEN http_method IS NOT NULL THEN 'http' WHEN db_system IS NOT NULL THEN 'other' END"""
"""As ``trace_spans.sql`` tells it."""
_SORTS: Final = {
    "start": "t.start_ns",
    "duration": "(t.end_ns - t.start_ns)",
    "errors": "t.errors",
    "queue_wait": "coalesce(w.queue_wait_ms, -1)",
}


@dataclass(slots=True)
class Search:
    """A compiled search: fixed SQL text around bound parameters."""

    params: dict[str, Any]
    order: str = "-start"
    conditions: list[str] = field(default_factory=list[str])
    flags: list[str] = field(default_factory=list[str])
    """Conditions on single spans; ``t.has0`` tells whether the first holds for one of the trace."""
    driver: str | None = None
    """A condition that a span of every trace wanted fulfils: what to look for first."""
    driver_rank: int = 0
    """How few that likely finds."""
    in_resources: dict[str, str] = field(default_factory=dict[str, str])
    """Parameter → the part of the SQL that looks for its value in resources."""
    left_out: list[str] = field(default_factory=list[str])
    """Of these, what need not be looked for: no resource holds the value."""

    @property
    def sort(self) -> str:
        """What rows are ordered by, an expression over one trace."""
        return _SORTS[self.order.removeprefix("-")]

    @property
    def descending(self) -> bool:
        return self.order.startswith("-")

    @property
    def newest_first(self) -> bool:
        return self.order == "-start"

    @property
    def found(self) -> str:
        """SQL of the traces to look at."""
        driver = "" if self.driver is None else f" AND ({self.driver})"
        return self._less(load("query/traces_found").replace("/* driver */", driver))

    @property
    def sql(self) -> str:
        """SQL of the page; ``found`` registered."""
        flags = "".join(
            f", coalesce(bool_or({condition}), false) AS has{number}"
            for number, condition in enumerate(self.flags)
        )
        sql = load("query/traces").replace("/* flags */", flags).replace("/* sort */", self.sort)
        sql = sql.replace("/* terms */", "".join(f" AND {c}" for c in self.conditions))
        return self._less(sql.replace("/* direction */", "DESC" if self.descending else "ASC"))

    def _less(self, sql: str) -> str:
        for part in self.left_out:
            sql = sql.replace(part, "")
        return sql

    def bind(self, value: Any) -> str:
        """A parameter name for ``value``."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def after(self, sorted_by: float, trace_id: str) -> None:
        """Only what comes after this place."""
        place, tie = self.bind(sorted_by), self.bind(trace_id)
        beyond = "<" if self.descending else ">"
        self.conditions.append(
            f"({self.sort} {beyond} {place} OR ({self.sort} = {place} AND t.trace_id > {tie}))"
        )

    def any_span(self, condition: str) -> str:
        """What tells of a trace that ``condition`` holds for one of its spans."""
        self.flags.append(condition)
        return f"t.has{len(self.flags) - 1}"

    def led_by(self, condition: str, rank: int) -> None:
        """Offers ``condition`` as the driver; the highest rank is taken."""
        if rank > self.driver_rank:
            self.driver, self.driver_rank = condition, rank


def compile_search(
    q: str | None, *, range_ns: dict[str, int], service: str | None, sort: str | None
) -> Search:
    """Raises ``NotUnderstood`` with the position of what cannot be understood and what was
    expected, and ``BadInput`` for an unknown ``sort``."""
    search = Search(dict(range_ns), _order(sort))
    if service:
        condition = f"service = {search.bind(service)}"
        search.conditions.append(search.any_span(condition))
        search.led_by(condition, 2)
    for term in parse_line(q):
        meaning = _meaning(search, term)
        if meaning.span is not None:
            condition = search.any_span(meaning.span)
            led_by = meaning.span
        else:
            condition, led_by = meaning.trace, meaning.driver
        search.conditions.append(f"NOT ({condition})" if term.negated else condition)
        if led_by is not None and not term.negated:
            search.led_by(led_by, meaning.rank)
    return search


@dataclass(frozen=True, slots=True)
class Meaning:
    """Of a term: a condition on one span, or one on the trace with what to look for first."""

    rank: int
    span: str | None = None
    trace: str = ""
    driver: str | None = None


def _order(sort: str | None) -> str:
    name = sort or "-start"
    if name.removeprefix("-") not in _SORTS:
        raise BadInput(f"sort={name}: expected one of {', '.join(_SORTS)}, with - for descending")
    return name


def _meaning(search: Search, term: Term) -> Meaning:
    if term.field is None:
        return Meaning(1, span=f"contains(lower(name), lower({search.bind(term.value)}))")
    if term.op == ":":
        if term.value not in _HAS:
            raise term.wrong(f"has: one of {', '.join(HAS)}")
        return Meaning(0, trace=_HAS[term.value])
    return _MEANINGS.get(term.field, _attribute)(search, term)


def _text(search: Search, column: str, term: Term) -> str:
    if term.op in _ORDER:
        raise term.wrong(f"{term.field} with = != or ~")
    if term.op == "~":
        return f"contains(lower({column}), lower({search.bind(term.value)}))"
    return f"{column} {term.op} {search.bind(term.value)}"


def _column(column: str, rank: int) -> Callable[[Search, Term], Meaning]:
    def meaning(search: Search, term: Term) -> Meaning:
        return Meaning(rank if term.op == "=" else 1, span=_text(search, column, term))

    return meaning


def _coded(codes: dict[str, Any], column: str) -> Callable[[Search, Term], Meaning]:
    def meaning(search: Search, term: Term) -> Meaning:
        if term.value not in codes or term.op not in ("=", "!="):
            raise term.wrong(f"{term.field}= or != one of {', '.join(codes)}")
        return Meaning(1, span=f"{column} {term.op} {search.bind(codes[term.value])}")

    return meaning


def _duration(search: Search, term: Term) -> Meaning:
    match = _DURATION.fullmatch(term.value)
    if match is None or term.op == "~":
        raise term.wrong("a duration such as 200ms, 1.5s or 2m (ns us ms s m), with = != > >= < <=")
    exact = Decimal(match[1]) * _UNITS[match[2]]
    value = min(int(exact), 2**63 - 1) if exact == int(exact) else float(exact)
    return Meaning(0, trace=f"(t.end_ns - t.start_ns) {term.op} {search.bind(value)}")


def _trace_id(search: Search, term: Term) -> Meaning:
    lower = Term(term.negated, term.field, term.op, term.value.lower(), term.position, term.value_position)  # fmt: skip
    return Meaning(6, span=_text(search, "trace_id", lower))


def _message(search: Search, term: Term) -> Meaning:
    name = term.field
    if name == "exchange" and term.op != "~":
        term = replace(term, value=exchange_named(term.value))
    told = [
        f"SELECT d.{trace} FROM delivery_facts d WHERE d.{trace} IS NOT NULL AND {_text(search, f'd.{name}', term)}"
        for trace in ("trace_id", "publish_trace_id")
    ]
    if name != "queue":
        told.append(
            f"SELECT p.trace_id FROM publish_facts p WHERE {_text(search, f'p.{name}', term)}"
        )
    within = f"trace_id IN ({' UNION '.join(told)})"
    return Meaning(4, trace=f"t.{within}", driver=within)


def _attribute(search: Search, term: Term) -> Meaning:
    name = term.field or ""
    names = next((same for same in SAME_NAME if name in same), (name,))
    places = [("attributes", f"/{pointer(n)}") for n in names]
    if not name.startswith(_OF_SPANS):
        places += [("resource", f"/attributes/{pointer(n)}") for n in names]
    told = ", ".join(f"json_extract_string({c}, {search.bind(path)})" for c, path in places)
    value = f"coalesce({told})"
    if term.op in _ORDER:
        number = float(term.value) if re.fullmatch(_NUMBER, term.value) else float("inf")
        if abs(number) == float("inf"):
            raise term.wrong("a number")
        as_number = f"CASE WHEN regexp_full_match({value}, '{_NUMBER}') THEN TRY_CAST({value} AS DOUBLE) END"  # fmt: skip
        return Meaning(2, span=f"{as_number} {term.op} {search.bind(number)}")
    same = _text(search, value, Term(False, name, "=", term.value, 1, 1))
    if re.fullmatch(_DECIMAL, term.value) and abs(float(term.value)) < _EXACT:
        as_number = f"CASE WHEN regexp_full_match({value}, '{_DECIMAL}') THEN TRY_CAST({value} AS DOUBLE) END"  # fmt: skip
        same = f"({same} OR coalesce({as_number} = {search.bind(float(term.value))}, false))"
        as_it_is = _WHOLE.fullmatch(term.value)
    else:
        as_it_is = _PLAIN.fullmatch(term.value)
    if term.op == "=":
        if as_it_is:
            # it stands in the JSON as it is: looking for the text alone takes half the time
            text = search.bind(term.value)
            resource = ""
            if len(places) > len(names):
                resource = f" OR contains(resource, {text})"
                search.in_resources[text.removeprefix("$")] = resource
            tail = _rare_tail(term.value)
            first = "" if tail == term.value else f"contains(attributes, {search.bind(tail)}) AND "
            same = f"({first}contains(attributes, {text}){resource}) AND {same}"
        return Meaning(3, span=same)
    return Meaning(1, span=f"NOT {same}" if term.op == "!=" else _text(search, value, term))


def _rare_tail(value: str) -> str:
    """The end of ``value`` from its rarest character on. DuckDB looks for a text's first character
    many bytes at a time, and compares byte by byte from where that stands: that ``-123456`` is nowhere is known
    after a quarter of the time that ``user-123456`` takes."""
    starts = range(max(1, len(value) - _LEAST_TAIL + 1))
    return value[max(starts, key=lambda at: (_rarity(value[at]), -at)) :]


def _rarity(character: str) -> int:
    place = _FREQUENT.find(character)
    return len(_FREQUENT) if place < 0 else place


def pointer(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901): every name can be asked for."""
    return name.replace("~", "~0").replace("/", "~1")


_MEANINGS: Final[dict[str, Callable[[Search, Term], Meaning]]] = {
    "service": _column("service", 2),
    "operation": _column("name", 3),
    "kind": _coded(KINDS, "kind"),
    "status": _coded(STATUSES, "status_code"),
    "protocol": _coded({name: name for name in PROTOCOLS}, _PROTOCOL),
    "duration": _duration,
    "trace_id": _trace_id,
    **dict.fromkeys(MESSAGE_FIELDS, _message),
}
