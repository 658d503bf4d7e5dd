"""Which spans probably caused those of a story that name no cause, and which they probably caused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from strayline_collector.query.story import Loaded
from strayline_collector.query.wire import Inferred, InferredEnd, InferredReason
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session
from strayline_collector.trace.ends import End, Pair
from strayline_collector.trace.infer import MAX_WAIT_NS, Proposal, infer
from strayline_collector.trace.spans import CLIENT, PRODUCER, TreeSpan
from strayline_collector.trace.stitch import SpanKey

MAX_ENDS: Final = 20_000
"""Calls' and messages' ends that are looked at, those nearest in time to the story."""
MAX_ORPHANS: Final = 2_000
"""Of them those without a cause."""
MIN_TEXT: Final = 8
"""Letters of a value that tells something under any name; shorter ones only under the same."""
_FACTS: Final = (
    "method", "path", "rpc", "address", "exchange", "routing_key", "destination", "message_id", "correlation_id",
)  # fmt: skip
_OF_THE_WAY: Final = (
    "client.", "code.", "http.", "messaging.", "net.", "network.", "rpc.", "server.", "strayline.", "telemetry.",
    "thread.", "url.", "user_agent.",
)  # fmt: skip
"""Attributes that say how something was sent or where it ran; of the call itself ``_FACTS`` are."""
_OF_THE_MESSAGE: Final = ("strayline.body_hash", "strayline.ordering_key")


@dataclass(frozen=True, slots=True)
class Ends:
    """What is near a story, as inferring takes it, and what the answer says of each."""

    orphans: list[End]
    causes: list[End]
    known: list[Pair]
    told: dict[SpanKey, InferredEnd]


def read_inferred(session: Session, story: Loaded) -> list[Inferred]:
    """Proposals that have an end in the story, the likeliest first. At most ``MAX_ENDS`` ends, no
    more than a minute away, are weighed with it."""
    ends = read_ends(session, *story.starts_ns)
    found = infer(ends.orphans, ends.causes, ends.known)
    told = story.spans.places(
        key for proposal in found for key in (proposal.child, proposal.parent)
    )
    return [
        _proposed(ends, proposal)
        for proposal in found
        if proposal.child in told or proposal.parent in told
    ]


def read_ends(session: Session, first_ns: int, last_ns: int) -> Ends:
    """Ends that began within a minute of that range."""
    asked = {
        "first_ns": first_ns,
        "last_ns": last_ns,
        "start_ns": first_ns - MAX_WAIT_NS,
        "end_ns": last_ns + MAX_WAIT_NS,
        "until_ns": last_ns + 2 * MAX_WAIT_NS,
        "limit": MAX_ENDS,
    }
    rows = session.rows(load("query/infer_ends"), asked)
    causes = {_key(row): _end(row) for row in rows if row["kind"] in (CLIENT, PRODUCER)}
    orphans: list[tuple[int, End]] = []
    known: list[Pair] = []
    for row in rows:
        if row["kind"] in (CLIENT, PRODUCER):
            continue
        if row["parent_span_id"] is None and not row["links"]:
            away_ns = max(first_ns - row["start_ns"], row["start_ns"] - last_ns, 0)
            orphans.append((away_ns, _end(row)))
        elif (cause := causes.get(_cause(row))) is not None:
            known.append(Pair(cause, _end(row)))
    tied = {pair.cause.span.key for pair in known}
    named = {_key(row) for row in rows if row["named"]}
    free = [
        end
        for key, end in causes.items()
        # another queue may have lost what this one kept, if that is here to be told apart
        if key not in named or (end.span.kind == PRODUCER and key in tied)
    ]
    orphans.sort(key=lambda one: (one[0], one[1].span.key))
    told = {_key(row): _told(row) for row in rows}
    return Ends([end for _, end in orphans[:MAX_ORPHANS]], free, known, told)


def _key(row: Row) -> SpanKey:
    return SpanKey(row["trace_id"], row["span_id"])


def _cause(row: Row) -> SpanKey:
    """Its one link, else its parent."""
    if row["links"] == 1:
        return SpanKey(row["to_trace_id"], row["to_span_id"])
    return SpanKey(row["trace_id"], row["parent_span_id"] or "")


def _end(row: Row) -> End:
    span = TreeSpan(
        _key(row), None, (), row["start_ns"], max(row["start_ns"], row["end_ns"]),
        kind=row["kind"], clock=row["clock"], received_ns=row["received_ns"],
    )  # fmt: skip
    facts = {name: row[name] for name in _FACTS if row[name] is not None}
    if row["protocol"] == "amqp":
        facts.pop("destination", None)  # exchange, key and queue in one, by either end as it likes
    return End(
        span, row["service"], row["protocol"], facts, row["queue"], frozenset(_shared(row, facts))
    )


def _shared(row: Row, facts: Mapping[str, str]) -> Iterable[str]:
    """What the other end may say too: ids of the message, and attributes of the application."""
    for name in ("message_id", "correlation_id"):
        if name in facts:
            yield f"{name} {facts[name]}"
    if row["stamp"] is not None:
        yield f"stamp {row['stamp']}"
    if not row["attributes"]:
        return
    for name, value in cast("dict[str, Any]", json.loads(row["attributes"])).items():
        if name.startswith(_OF_THE_WAY) and name not in _OF_THE_MESSAGE:
            continue
        if isinstance(value, str) and len(value) >= MIN_TEXT:
            yield value
        elif isinstance(value, str | int) and not isinstance(value, bool):
            yield f"{name} {value}"


def _told(row: Row) -> InferredEnd:
    return InferredEnd(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        service=row["service"],
        name=row["name"],
        start_unix_nano=row["start_ns"],
    )


def _proposed(ends: Ends, proposal: Proposal) -> Inferred:
    return Inferred(
        child=ends.told[proposal.child],
        parent=ends.told[proposal.parent],
        probability=round(proposal.probability, 4),
        evidence=[InferredReason(kind=one.kind, text=one.text) for one in proposal.evidence],
    )
