"""Spans → the message history, by SQL, inside the load that brought the spans.

The steps run in this order because each builds on the last: publishes and deliveries say what
their own span says; resolving joins the two whichever came first; settlements and operations
fill in what later spans told. Every row changed carries the load's number (``batch``), which is
how detectors know what to judge again.

A step costs 1 to 10 ms of planning whatever its size, so it runs only when the load brings
something for it. It reads ``told``, the spans of the load that history is made of, and of the
facts those first loaded since ``$since``, before which nothing is about the same messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.store.duckdb.places import note_moved, place
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

OWN_SPANS: Final = ("strayline.topology", "strayline.census")
_TOLD_AGAIN: Final = '"strayline.topology"'
"""In the attributes of a census span: what its process believes of the topology, told again."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which kinds of facts a load brings; columns of ``load/told_kinds.sql``."""

    links: bool
    publishes: bool
    returns: bool
    deliveries: bool
    listeners: bool
    settlements: bool
    topology: bool
    census: bool
    brokers: bool
    replies: bool


def _unwrap(session: Session, kinds: Kinds, values: dict[str, int]) -> Kinds:
    """Leaves one row of two PRODUCER spans that tell one publish."""
    if _found(session, "derive/wrapping", values):
        for name in ("derive/wrapped", "derive/unwrapped"):
            _run(session, name, values)
    return kinds


def _hand_over(session: Session, kinds: Kinds, values: dict[str, int]) -> Kinds:
    """Leaves one row of two CONSUMER spans that tell one delivery: how it was taken, how handled.
    Either may bring it into this load, also a span that says of itself only that it has a link."""
    if not _found(session, "derive/taking", values):
        return kinds
    for name in ("derive/taken", "derive/taken_silently", "load/taken_directory", "derive/untaken"):
        _run(session, name, values)
    return replace(kinds, deliveries=True)


def _listeners(session: Session, kinds: Kinds, values: dict[str, int]) -> Kinds:
    """The Java agent tells one delivery twice under Spring: by the client that hands it over, and by
    the listener that handles it."""
    if _found(session, "derive/handing", values):
        for name in ("derive/handed_over", "derive/handed_on", "derive/listened"):
            _run(session, name, values)
    return kinds


def _found(session: Session, name: str, values: dict[str, int]) -> bool:
    """Whether this statement has rows; they are registered by its last word."""
    rows = session.table(load(name), {key: values[key] for key in ("batch", "since")})
    session.register(name.rpartition("/")[2], rows)
    return bool(rows.num_rows)


def _renamed(session: Session, kinds: Kinds, values: dict[str, int]) -> Kinds:
    """A broker's name learned now holds for everything told by its address before."""
    if session.rows(load("derive/renaming"), {"batch": values["batch"]})[0]["found"]:
        note_moved(session, values["batch"])
    return kinds


def _place(session: Session, kinds: Kinds, values: dict[str, int]) -> Kinds:
    if place(session, values["batch"], values["since"], renamed=kinds.brokers):
        values["about_since"] = 0
    return kinds


_Step = str | Callable[[Session, Kinds, dict[str, int]], Kinds]
STEPS: Final[tuple[tuple[_Step, Callable[[Kinds], bool]], ...]] = (
    ("derive/links", lambda k: k.links),
    ("derive/brokers", lambda k: k.brokers),
    ("derive/publishes", lambda k: k.publishes),
    (_unwrap, lambda k: k.publishes),
    ("derive/returns", lambda k: k.returns),
    ("derive/returned", lambda k: k.publishes or k.returns),
    ("derive/deliveries", lambda k: k.deliveries),
    (_hand_over, lambda k: k.deliveries or k.links),
    (_renamed, lambda k: k.brokers),
    ("derive/brokers_publishes", lambda k: k.publishes or k.brokers),
    ("derive/brokers_deliveries", lambda k: k.deliveries or k.brokers),
    ("derive/resolve", lambda k: k.publishes or k.deliveries),
    (_listeners, lambda k: k.listeners),
    ("derive/keys", lambda k: k.publishes or k.deliveries),
    ("derive/settlements", lambda k: k.settlements),
    ("derive/settled", lambda k: k.deliveries or k.settlements),
    ("derive/settled_by_tag", lambda k: k.deliveries or k.settlements),
    ("derive/topology", lambda k: k.topology),
    (_place, lambda k: k.publishes or k.deliveries or k.topology or k.brokers),
    ("derive/census", lambda k: k.census),
)
"""Each step with the loads that need it: a statement, or several that rest on what one finds, which
may tell of more kinds than the load's own spans did."""


def derive(session: Session, batch: int, spans: pa.Table) -> int:
    """Derives the history of load ``batch``, whose spans are stored, in the caller's transaction.
    Returns the load before which nothing was about the same messages."""
    told = spans.filter(_tells(spans))
    session.register("told", told)
    since = about_since = batch
    replies = False
    if told.num_rows:
        session.register("telling", session.table(load("load/telling")))
        session.execute(load("load/message_directory"), {"batch": batch})
        since = int(session.rows(load("load/reach"), {"batch": batch})[0]["since"])
        kinds = Kinds(**session.rows(load("load/told_kinds"))[0])
        replies = kinds.replies
        renamed, about_since = (0, 0) if kinds.brokers else (batch, since)
        values = {"batch": batch, "since": since, "renamed": renamed, "about_since": about_since}
        for step, wanted in STEPS:
            if wanted(kinds):
                if isinstance(step, str):
                    _run(session, step, values)
                else:
                    kinds = step(session, kinds, values)
        about_since = values["about_since"]
    climbed = _operations(session, batch, since)
    if replies or climbed < since:
        _replies(session, batch, min(since, climbed))
    return about_since


def is_told_again(spans: pa.Table) -> Any:
    """Which spans only tell again what their process said of the topology before."""
    census = compute.fill_null(compute.equal(spans["name"], "strayline.census"), False)
    if not compute.any(census).as_py():  # as in most loads: nobody's attributes need be searched
        return census
    told = compute.and_(census, compute.match_substring(spans["attributes"], _TOLD_AGAIN))
    return compute.fill_null(told, False)


def derive_told_again(session: Session, batch: int, spans: pa.Table) -> pa.Array:
    """Adds what of ``spans`` (those of ``is_told_again``) nobody had told yet. Returns the processes
    that told something of it."""
    session.register("told", spans)
    before = _facts_by_process(session, batch)
    _run(session, "derive/topology", {"batch": batch})
    after = _facts_by_process(session, batch)
    return pa.array(
        [who for who, facts in after.items() if facts > before.get(who, 0)], pa.string()
    )


def _facts_by_process(session: Session, batch: int) -> dict[str | None, int]:
    rows = session.rows(load("load/topology_of"), {"batch": batch})
    return {row["process"]: row["facts"] for row in rows}


def _replies(session: Session, batch: int, since: int) -> None:
    """Finds where replies over AMQP go, and links requests and replies that came without context;
    operations are known."""
    session.register(
        "replying", session.table(load("load/replying"), {"batch": batch, "since": since})
    )
    session.execute(
        "INSERT INTO message_directory SELECT message_key, $batch FROM replying", {"batch": batch}
    )
    reach = session.rows(load("load/reply_reach"), {"batch": batch, "since": since})[0]["since"]
    values = {"batch": batch, "since": int(reach)}
    _run(session, "derive/reply_addresses", values)
    answers = session.table(load("derive/replies"), values)
    if answers.num_rows:
        session.register("answers", answers)
        session.execute("INSERT INTO span_links BY NAME SELECT * FROM answers")
        session.execute(load("load/reply_directory"))
        values = {"batch": batch, "since": int(reach)}
        session.execute(load("derive/answered_deliveries"), values)


def _tells(spans: pa.Table) -> Any:
    """Which spans history is made of: messaging, linked, or about Strayline itself."""
    messaging = compute.fill_null(compute.equal(spans["messaging_system"], "rabbitmq"), False)
    own = compute.is_in(spans["name"], value_set=pa.array(OWN_SPANS))
    return compute.or_(compute.or_(messaging, own), compute.is_valid(spans["links"]))


def _operations(session: Session, batch: int, since: int) -> int:
    """Names the operations of the load's publishes, and of those that waited for its spans. Returns
    the oldest load with something of them."""
    climbing = session.table(load("derive/climbing"), {"batch": batch, "since": since})
    session.register("climbing", climbing)
    if not climbing.num_rows:
        return since
    oldest = min(since, compute.min(climbing["since_batch"]).as_py())
    values = {"batch": batch, "since": oldest}
    climbed = session.table(load("derive/climbed"), {"since": oldest})
    session.register("climbed", climbed)
    for name in ("derive/operations", "derive/answered", "derive/awaiting"):
        _run(session, name, values)
    return oldest


def _run(session: Session, name: str, values: dict[str, int]) -> None:
    sql = load(name)
    session.execute(sql, {key: value for key, value in values.items() if f"${key}" in sql})
