"""Findings of some messages or traces, without going through the verdicts of all.

The view ``verdicts`` picks the strongest of each message's in a window: 1.7 s over a million of them. A
condition that compares the message with constants is met before the window, a join behind it.
"""

from __future__ import annotations

from typing import Final

from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session

_NAMED: Final = 200
"""So many messages are named one by one: each verdict is compared with each of them, 1.5 ms a name and
million; of a thousand the window costs less."""


def findings_of_messages(session: Session, messages: list[str]) -> list[Row]:
    """``message``, ``id`` of the finding, ``kind``, ``role`` and ``severity``, by message."""
    return _told(session, "query/message_findings", messages=messages)


def findings_of_traces(session: Session, trace_ids: list[str]) -> list[Row]:
    """``id`` of the finding and the span (``trace_id``, ``span_id``) that published or took its message."""
    return _told(session, "query/trace_findings", trace_ids=trace_ids)


def _told(session: Session, name: str, **asked: list[str]) -> list[Row]:
    given = {"messages": [], "trace_ids": [], **asked}
    judged = [row["message"] for row in session.rows(load("query/judged"), given)]
    if not judged:
        return []
    return session.rows(load(name), {**asked, "among": judged if len(judged) <= _NAMED else None})
