"""SQL from outside: how many at a time, and answers as JSON or Arrow. What may be asked is the
store's to say."""

from __future__ import annotations

import asyncio
import base64
import datetime
import decimal
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pyarrow as pa

from strayline_collector.detect.watermark import rfc3339
from strayline_collector.errors import BadInput, Overloaded
from strayline_collector.query.wire import (
    SqlAnswer,
    SqlColumn,
    SqlLimits,
    SqlRelation,
    SqlSchema,
)
from strayline_collector.store.ports import Asked, Limits, Store

AT_A_TIME: Final = 2
ARROW: Final = "application/vnd.apache.arrow.stream"
LIMITS: Final = Limits()

_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_YEAR_1_NS: Final = -62_135_596_800 * 1_000_000_000
_YEAR_10000_NS: Final = 253_402_300_800 * 1_000_000_000
_DOUBLE_DIGITS: Final = 15
"""Decimal digits that a double, which is what most readers of JSON have, surely keeps."""
_NAMES: Final = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "uint8": "UTINYINT", "uint16": "USMALLINT",
    "uint32": "UINTEGER", "uint64": "UBIGINT", "float": "FLOAT", "double": "DOUBLE", "string": "VARCHAR", "large_string": "VARCHAR", "string_view": "VARCHAR", "date32[day]": "DATE",
    "time64[us]": "TIME", "time64[ns]": "TIME", "month_day_nano_interval": "INTERVAL", "binary": "BLOB", "null": "NULL", "decimal128(38, 0)": "HUGEINT",
}  # fmt: skip


def wants_arrow(headers: Mapping[str, str]) -> bool:
    """Whether ``Accept`` names Arrow, in whatever case and beside whatever else."""
    accepted = headers.get("accept", "").lower().split(",")
    return any(media.partition(";")[0].strip() == ARROW for media in accepted)


class Asking:
    """Answers a few statements at a time, on threads of their own: those that the other routes
    use stay free."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._free = threading.BoundedSemaphore(AT_A_TIME)
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="sql")

    async def ask(self, sql: str, rows: int) -> Asked:
        """Raises ``BadInput``, ``Stopped``, and ``Overloaded`` while others are answered."""
        if not self._free.acquire(blocking=False):
            raise Overloaded(f"{AT_A_TIME} statements are being answered; ask again in a moment")
        limits = Limits(rows=rows)
        loop = asyncio.get_running_loop()
        # given back by the thread: a client that goes away does not end its statement
        return await loop.run_in_executor(self._threads, self._run, sql, limits)

    def _run(self, sql: str, limits: Limits) -> Asked:
        try:
            return self._store.ask(sql, limits)
        finally:
            self._free.release()


RELATIONS: Final = {
    "spans": "a span",
    "publishes": "a message on its way out",
    "deliveries": "one delivery to a consumer",
    "settlements": "what became of a delivery",
    "topology": "an exchange, queue or binding that somebody said exists",
    "queue_levels": "a time in which RabbitMQ said one thing of how full a queue is",
    "census": "what a process said it published and consumed",
    "verdicts": "what a detector said of one message",
    "findings": "an incident: one broken promise",
    "finding_verdicts": "a verdict of the finding that it belongs to",
}
"""What can be read, and what a row of it is."""


def describe(store: Store) -> SqlSchema:
    """The relations with their columns, as a statement would see them."""
    relations: list[SqlRelation] = []
    for name, means in RELATIONS.items():
        schema = store.ask(f"SELECT * FROM {name} LIMIT 0", LIMITS).schema  # noqa: S608
        columns = [SqlColumn(name=f.name, type=_type_name(f.type)) for f in schema]
        relations.append(SqlRelation(name=name, means=means, columns=columns))
    limits = SqlLimits(
        seconds=LIMITS.seconds,
        rows=LIMITS.rows,
        answer_bytes=LIMITS.answer_bytes,
        statement_bytes=LIMITS.text_bytes,
        at_a_time=AT_A_TIME,
    )
    return SqlSchema(relations=relations, limits=limits)


def parse_request(document: Mapping[str, Any]) -> tuple[str, int]:
    """``{sql, max_rows}`` → statement and rows. Raises ``BadInput``."""
    unknown = document.keys() - {"sql", "max_rows"}
    if unknown:
        raise BadInput(f"{min(unknown)}: unknown; the body is {{sql, max_rows}}")
    sql = document.get("sql")
    if not isinstance(sql, str) or not sql.strip():
        raise BadInput("sql: give one SELECT as a string")
    rows = document.get("max_rows", LIMITS.rows)
    if not isinstance(rows, int) or isinstance(rows, bool) or not 1 <= rows <= LIMITS.rows:
        raise BadInput(f"max_rows: give a whole number from 1 to {LIMITS.rows:,}")
    return sql, rows


def as_arrow(answer: Asked) -> bytes:
    """An Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        for batch in answer.batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def as_json(answer: Asked) -> SqlAnswer:
    """Times are RFC 3339 in UTC, 64-bit integers numbers, longer ones and decimals of more than
    15 digits strings, and so are the numbers that JSON has not (``NaN``, ``Infinity``)."""
    rows: list[list[Any]] = []
    for batch in answer.batches:
        columns = [_values(column) for column in batch.columns]
        rows += [list(row) for row in zip(*columns, strict=True)]
    return SqlAnswer(
        columns=[SqlColumn(name=f.name, type=_type_name(f.type)) for f in answer.schema],
        rows=rows,
        truncated=answer.truncated,
        elapsed_ms=round(answer.elapsed_ms, 3),
    )


def _values(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        scale = _NS[kind.unit]
        moments = column.cast(pa.int64()).to_pylist()
        return [None if v is None else _moment(v * scale) for v in moments]
    if pa.types.is_time(kind):
        return [None if v is None else v.isoformat() for v in column.cast(pa.time64("us"), safe=False).to_pylist()]  # fmt: skip
    return [_value(v) for v in column.to_pylist()]


def _value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    told = next((tell for kind, tell in _TOLD if isinstance(value, kind)), str)
    return told(value)


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _decimal(value: decimal.Decimal) -> int | float | str:
    _, digits, exponent = value.as_tuple()
    if exponent == 0 and -(2**63) <= value < 2**63:
        return int(value)
    return float(value) if len(digits) <= _DOUBLE_DIGITS else str(value)


def _interval(value: Any) -> str:
    """ISO 8601, as DuckDB keeps it: months, days and a time are not converted into each other."""
    seconds = decimal.Decimal(value.nanoseconds) / 1_000_000_000
    return f"P{value.months}M{value.days}DT{seconds.normalize():f}S"


def _moment(ns: int) -> str:
    # a DuckDB timestamp reaches past the years that RFC 3339 can write
    return rfc3339(ns) if _YEAR_1_NS <= ns < _YEAR_10000_NS else f"{ns} ns"


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    if pa.types.is_list(kind):
        return f"{_type_name(kind.value_type)}[]"
    name = str(kind)
    return _NAMES.get(name, name.upper().replace("DECIMAL128", "DECIMAL"))


_TOLD: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (float, _float),
    (decimal.Decimal, _decimal),
    (datetime.date, datetime.date.isoformat),
    (bytes, lambda v: base64.b64encode(v).decode()),
    (list, lambda v: [_value(item) for item in v]),
    (pa.MonthDayNano, _interval),
)
