"""Which publishes are retries of others: the client did not learn what became of the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

RETRIES_SCHEMA: Final = pa.schema(
    [
        ("message", pa.string()),
        ("first", pa.string()),
        ("first_channel", pa.int64()),
        ("first_n", pa.int64()),
    ]
)


def register_retries(session: Session) -> None:
    """Registers ``retries``: each retry with the first try of its message, its channel and ``n``."""
    found = retries(session.rows(load("detect/retry_candidates")))
    session.register("retries", pa.Table.from_pylist(found, RETRIES_SCHEMA))


def retries(publishes: Iterable[Row]) -> list[Row]:
    """``publishes`` have the columns of ``detect/retry_candidates``.

    A retry begins after a try of unknown outcome ended, in the same process and vhost, with
    the same exchange and key, and has its message id; or, where clients make a new id for each try or
    send none, its body, provided that nothing else has that body: all but its last publish are
    then of unknown outcome. A body that many messages share tells none of them from another.
    """
    groups: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in publishes:
        place = (row["broker"], row["vhost"], row["exchange"], row["routing_key"])
        groups[row["epoch"], *place].append(row)
    found: list[Row] = []
    for group in groups.values():
        group.sort(key=lambda p: (p["start_ns"], p["channel"], p["n"]))
        found += _of_group(group)
    return found


def _of_group(group: Sequence[Row]) -> list[Row]:
    telling = _telling_bodies(group)
    first_of: dict[str, Row] = {}
    retried: set[str] = set()
    for index, row in enumerate(group):
        for before in reversed(group[:index]):
            if (
                before["outcome"] == "unknown"
                and before["message"] not in retried
                and before["end_ns"] <= row["start_ns"]
                and _same(before, row, telling)
            ):
                retried.add(before["message"])
                first_of[row["message"]] = first_of.get(before["message"], before)
                break
    return [
        {
            "message": message,
            "first": first["message"],
            "first_channel": first["channel"],
            "first_n": first["n"],
        }
        for message, first in first_of.items()
    ]


def _same(one: Row, other: Row, telling: set[str]) -> bool:
    body = one["body_hash"] if one["body_hash"] == other["body_hash"] else None
    known = one["body_hash"] is not None and other["body_hash"] is not None
    if one["message_id"] is not None and one["message_id"] == other["message_id"]:
        return body is not None or not known
    return body in telling


def _telling_bodies(group: Sequence[Row]) -> set[str]:
    by_body: dict[str, list[Row]] = defaultdict(list)
    for row in group:
        if row["body_hash"] is not None:
            by_body[row["body_hash"]].append(row)
    return {
        body
        for body, rows in by_body.items()
        if all(row["outcome"] == "unknown" for row in rows[:-1])
    }
