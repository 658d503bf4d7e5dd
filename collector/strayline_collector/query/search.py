"""The query line: terms joined by AND, compiled to SQL with every value bound.

``service=billing duration>200ms status=error has:finding checkout`` — a term is a field, an
operator and a value, a ``has:`` word, or text that a span's name contains. A leading ``!``
negates. Fields hold for any span of the trace that started within the range, ``duration`` for
the trace as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from strayline_collector.errors import BadInput
from strayline_collector.store.duckdb.queries import load

_TERM: Final = re.compile(
    r"""\s*(?P<not>!)?(?:
        has:(?P<has>[a-z_]+)
      | (?P<field>[A-Za-z_][\w.\-]*)\s*(?P<op>!=|>=|<=|=|>|<|~)\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"]+))
      | "(?P<text_quoted>[^"]*)"
      | (?P<text>[^\s"]+)
    )""",
    re.VERBOSE,
)
_DURATION: Final = re.compile(r"^(\d+(?:\.\d+)?)(ns|us|ms|s|m)$")
_UNITS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES: Final = {"unset": 0, "ok": 1, "error": 2}
_COMPARE: Final = frozenset({"=", "!=", ">", ">=", "<", "<="})

_HAS: Final = {
    "error": "t.errors > 0",
    "finding": "coalesce(f.findings, 0) > 0",
    "link": "t.trace_id IN (SELECT trace_id FROM span_links UNION SELECT to_trace_id FROM span_links)",
    "queue_wait": "coalesce(w.queue_wait_ms, 0) > 0",
}
_COLUMNS: Final = {"service": "service", "operation": "name"}
_MESSAGE_FIELDS: Final = ("queue", "exchange", "routing_key", "message_id")
_SORTS: Final = {
    "start": "t.start_ns",
    "duration": "(t.end_ns - t.start_ns)",
    "errors": "t.errors",
    "queue_wait": "coalesce(w.queue_wait_ms, -1)",
}
MAX_TERMS: Final = 32
_PLAIN: Final = re.compile(r"[A-Za-z0-9 .:_@+-]+")
"""Text that JSON writes in one way only."""


@dataclass(slots=True)
class Search:
    """A compiled search: fixed SQL text around bound parameters."""

    params: dict[str, Any]
    sort: str
    """What rows are ordered by, an expression over one trace."""
    descending: bool
    conditions: list[str] = field(default_factory=list[str])
    flags: list[str] = field(default_factory=list[str])
    """Conditions on single spans; ``t.has0`` tells whether the first holds for one of the trace."""
    driver: str | None = None
    """A flag that every trace wanted has: what to look for first."""

    @property
    def newest_first(self) -> bool:
        return self.descending and self.sort == _SORTS["start"]

    @property
    def found(self) -> str:
        """SQL of the traces to look at."""
        driver = "" if self.driver is None else f" AND ({self.driver})"
        return load("query/traces_found").replace("/* driver */", driver)

    @property
    def sql(self) -> str:
        """SQL of the page; ``found`` registered."""
        flags = "".join(
            f", coalesce(bool_or({condition}), false) AS has{number}"
            for number, condition in enumerate(self.flags)
        )
        sql = load("query/traces").replace("/* flags */", flags).replace("/* sort */", self.sort)
        sql = sql.replace("/* terms */", "".join(f" AND {c}" for c in self.conditions))
        return sql.replace("/* direction */", "DESC" if self.descending else "ASC")

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


def compile_search(
    q: str | None, *, range_ns: dict[str, int], service: str | None, sort: str | None
) -> Search:
    """Raises ``BadInput`` with the position of what cannot be understood and what was expected."""
    search = Search(dict(range_ns), *_order(sort))
    if service:
        condition = f"service = {search.bind(service)}"
        search.conditions.append(search.any_span(condition))
        search.driver = condition
    position = 0
    text = (q or "").rstrip()
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise BadInput(
                f"q: cannot read position {position + 1}: expected field=value, has:word or text"
            )
        if len(search.conditions) >= MAX_TERMS:
            raise BadInput(f"q: more than {MAX_TERMS} terms")
        condition = _term(search, match)
        search.conditions.append(f"NOT ({condition})" if match["not"] else condition)
        if not match["not"] and search.flags and condition == f"t.has{len(search.flags) - 1}":
            search.driver = search.flags[-1]
        position = match.end()
    return search


def _order(sort: str | None) -> tuple[str, bool]:
    name = sort or "-start"
    column = _SORTS.get(name.removeprefix("-"))
    if column is None:
        raise BadInput(
            f"sort={name}: expected one of {', '.join(sorted(_SORTS))}, with - for descending"
        )
    return column, name.startswith("-")


def _term(search: Search, match: re.Match[str]) -> str:
    if match["has"]:
        if match["has"] not in _HAS:
            raise BadInput(
                f"q: position {match.start('has') + 1}: has:{match['has']}: expected one of {', '.join(sorted(_HAS))}"
            )
        return _HAS[match["has"]]
    if match["field"]:
        value = match["quoted"] if match["quoted"] is not None else match["bare"]
        compiler = _FIELDS.get(match["field"], _attribute)
        try:
            return compiler(search, match["field"], match["op"], value)
        except ValueError as error:
            raise BadInput(f"q: position {match.start('field') + 1}: {error}") from None
    words = match["text_quoted"] if match["text_quoted"] is not None else match["text"]
    return search.any_span(f"contains(lower(name), lower({search.bind(words)}))")


def _compared(search: Search, column: str, op: str, value: Any) -> str:
    if op == "~":
        return f"contains(lower({column}), lower({search.bind(str(value))}))"
    if op not in _COMPARE:
        raise ValueError(f"operator {op}: expected one of = != > >= < <= ~")
    return f"{column} {op} {search.bind(value)}"


def _column(search: Search, name: str, op: str, value: str) -> str:
    return search.any_span(_compared(search, _COLUMNS[name], op, value))


def _coded(codes: dict[str, int], column: str) -> Callable[[Search, str, str, str], str]:
    def compiled(search: Search, name: str, op: str, value: str) -> str:
        if value not in codes or op not in ("=", "!="):
            raise ValueError(f"{name}{op}{value}: expected {name}= one of {', '.join(codes)}")
        return search.any_span(_compared(search, column, op, codes[value]))

    return compiled


def _duration(search: Search, name: str, op: str, value: str) -> str:
    match = _DURATION.match(value)
    if match is None or op == "~":
        raise ValueError(f"{name}{op}{value}: expected a duration such as 200ms, 1.5s or 2m")
    return _compared(search, "(t.end_ns - t.start_ns)", op, int(float(match[1]) * _UNITS[match[2]]))


def _trace_id(search: Search, name: str, op: str, value: str) -> str:
    return _compared(search, "t.trace_id", op, value.lower())


def _protocol(search: Search, name: str, op: str, value: str) -> str:
    columns = {"http": "http_method", "grpc": "rpc_system", "amqp": "messaging_system"}
    if value not in columns or op not in ("=", "!="):
        raise ValueError(f"{name}{op}{value}: expected protocol= one of {', '.join(columns)}")
    found = search.any_span(f"{columns[value]} IS NOT NULL")
    return found if op == "=" else f"NOT ({found})"


def _message(search: Search, name: str, op: str, value: str) -> str:
    of_delivery = _compared(search, f"d.{name}", op, value)
    condition = f"t.trace_id IN (SELECT d.trace_id FROM delivery_facts d WHERE {of_delivery}"
    condition += f" UNION SELECT d.publish_trace_id FROM delivery_facts d WHERE {of_delivery}"
    if name != "queue":
        condition += f" UNION SELECT p.trace_id FROM publish_facts p WHERE {_compared(search, f'p.{name}', op, value)}"
    return condition + ")"


def _attribute(search: Search, name: str, op: str, value: str) -> str:
    path = search.bind(f'$."{name}"')
    text = f"json_extract_string(attributes, {path})"
    if op == "=" and value and _PLAIN.fullmatch(value):
        # it stands in the JSON as it is: looking for the text alone takes half the time
        text = f"contains(attributes, {search.bind(value)}) AND {text}"
    number = _number(value)
    if op in (">", ">=", "<", "<="):
        if number is None:
            raise ValueError(f"{name}{op}{value}: expected a number")
        return search.any_span(f"TRY_CAST({text} AS DOUBLE) {op} {search.bind(number)}")
    return search.any_span(_compared(search, text, op, value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_FIELDS: Final[dict[str, Callable[[Search, str, str, str], str]]] = {
    "service": _column,
    "operation": _column,
    "kind": _coded(_KINDS, "kind"),
    "status": _coded(_STATUSES, "status_code"),
    "duration": _duration,
    "trace_id": _trace_id,
    "protocol": _protocol,
    **dict.fromkeys(_MESSAGE_FIELDS, _message),
}
