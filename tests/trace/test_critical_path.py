"""What the end waited for: golden stories, and any story against a walk one tick at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.critical_path import Through
from strayline_collector.trace.drawing import drawing
from strayline_collector.trace.spans import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    NONE,
    PRODUCER,
    SERVER,
    Spans,
    TreeSpan,
)
from strayline_collector.trace.stitch import SpanKey
from strayline_collector.trace.tree import bled_spans, children_of, display_parents
from tests.support.tree import path_of


def key(name: str) -> SpanKey:
    return SpanKey("t", name)


def span(
    name: str, parent: str | None, start: int, end: int, kind: int = INTERNAL, process: str = "p", **more: Any
) -> TreeSpan:  # fmt: skip
    above = key(parent) if parent else None
    return TreeSpan(key(name), above, (), start, end, kind=kind, process=process, **more)


def path(*spans: TreeSpan, through: Through = "story") -> list[tuple[str, str, int, int]]:
    return [(k.span_id, s.kind, s.start_ns, s.end_ns) for k, s in path_of(spans, through)]


def self_times(spans: Sequence[TreeSpan]) -> dict[SpanKey, int]:
    tree = Spans.of(spans)
    parents = display_parents(tree, bled_spans(tree))
    drawn = drawing(tree, parents, children_of(tree, parents), twins={})
    assert sorted(drawn.rows) == list(range(len(spans)))
    for place, up in zip(drawn.places, drawn.above, strict=True):
        assert parents[place] == (NONE if up == NONE else drawn.places[up])
    return {spans[row].key: own for row, own in zip(drawn.rows, drawn.own_ns, strict=True)}


def test_a_consumer_after_a_short_publish_is_on_the_path_with_its_wait() -> None:
    assert path(
        span("request", None, 0, 100, SERVER),
        span("publish", "request", 10, 12, PRODUCER),
        span("process", "publish", 150, 200, CONSUMER, "q"),
    ) == [
        ("request", "self", 0, 10),
        ("publish", "self", 10, 12),
        ("process", "queue_wait", 12, 150),
        ("process", "self", 150, 200),
    ]


def test_a_consumer_that_ends_within_the_request_is_not_waited_for() -> None:
    assert path(
        span("request", None, 0, 100, SERVER),
        span("publish", "request", 10, 12, PRODUCER),
        span("process", "publish", 20, 90, CONSUMER, "q"),
    ) == [("request", "self", 0, 10), ("publish", "self", 10, 12), ("request", "self", 12, 100)]


def test_a_consumer_that_begins_before_the_confirm_waits_from_the_publishs_beginning() -> None:
    assert path(
        span("publish", None, 0, 50, PRODUCER), span("process", "publish", 20, 90, CONSUMER, "q")
    ) == [("process", "queue_wait", 0, 20), ("process", "self", 20, 90)]


def test_back_to_back_children_are_all_on_the_path() -> None:
    assert path(
        span("r", None, 0, 30), span("a", "r", 0, 10), span("b", "r", 10, 20), span("c", "r", 20, 30)
    ) == [("a", "self", 0, 10), ("b", "self", 10, 20), ("c", "self", 20, 30)]  # fmt: skip


def test_back_to_back_children_of_a_millisecond_clock_are_all_on_the_path() -> None:
    ms = 1_000_000
    assert path(
        span("r", None, ms, 30 * ms + 100_000),
        span("a", "r", ms, 10 * ms + 400_000),  # b truly began at 10.6 ms
        span("b", "r", 10 * ms, 30 * ms + 500_000),  # and ended with its parent
        through="response",
    ) == [("a", "self", ms, 10 * ms), ("b", "self", 10 * ms, 30 * ms + 100_000)]


def test_a_child_that_outlasts_its_parent_was_not_waited_for_and_ends_the_story() -> None:
    spans = (span("r", None, 0, 50), span("a", "r", 10, 20), span("task", "r", 30, 90))
    assert path(*spans) == [
        ("r", "self", 0, 10),
        ("a", "self", 10, 20),
        ("r", "self", 20, 30),
        ("task", "self", 30, 90),
    ]
    assert path(*spans, through="response") == [
        ("r", "self", 0, 10),
        ("a", "self", 10, 20),
        ("r", "self", 20, 50),
    ]


def test_a_child_that_begins_after_its_parents_end_is_reached_across_a_gap() -> None:
    assert path(span("r", None, 0, 50), span("later", "r", 70, 90)) == [
        ("r", "self", 0, 50),
        ("r", "gap", 50, 70),
        ("later", "self", 70, 90),
    ]


def test_the_network_is_a_clients_time_outside_its_server() -> None:
    assert path(
        span("client", None, 0, 100, CLIENT),
        span("server", "client", 10, 85, SERVER, "q"),
        span("query", "server", 20, 60, CLIENT, "q"),
    ) == [
        ("client", "network", 0, 10),
        ("server", "self", 10, 20),
        ("query", "self", 20, 60),
        ("server", "self", 60, 85),
        ("client", "network", 85, 100),
    ]


def test_a_server_that_goes_on_after_its_client_gave_up_is_on_the_path_until_then() -> None:
    spans = (
        span("r", None, 0, 100),
        span("client", "r", 10, 40, CLIENT),
        span("server", "client", 15, 80, SERVER, "q"),
    )
    assert path(*spans) == [
        ("r", "self", 0, 10),
        ("client", "network", 10, 15),
        ("server", "self", 15, 40),
        ("r", "self", 40, 100),
    ]


def test_of_children_at_once_only_the_last_to_return_is_waited_for() -> None:
    assert path(
        span("gather", None, 0, 100),
        span("short", "gather", 10, 40),
        span("long", "gather", 10, 90),
        span("longs", "long", 20, 80),
    ) == [
        ("gather", "self", 0, 10),
        ("long", "self", 10, 20),
        ("longs", "self", 20, 80),
        ("long", "self", 80, 90),
        ("gather", "self", 90, 100),
    ]


def test_a_sibling_that_had_not_returned_when_the_next_began_was_not_waited_for() -> None:
    assert path(span("r", None, 0, 100), span("a", "r", 0, 60), span("b", "r", 50, 100)) == [
        ("r", "self", 0, 50),
        ("b", "self", 50, 100),
    ]


def test_what_outlasts_its_parent_returns_to_whoever_is_still_there() -> None:
    """Node's handler spans end when their promise is made, and what they began goes on."""
    assert path(
        span("request", None, 0, 100, SERVER),
        span("handler", "request", 10, 12),
        span("first", "handler", 11, 40, CLIENT),
        span("second", "handler", 45, 90, CLIENT),
        span("forgotten", "handler", 46, 300),
        through="response",
    ) == [
        ("request", "self", 0, 10),
        ("handler", "self", 10, 11),
        ("first", "self", 11, 40),
        ("handler", "gap", 40, 45),
        ("second", "self", 45, 90),
        ("request", "self", 90, 100),
    ]


RPC = (
    span("ask", None, 0, 100, SERVER),
    span("request", "ask", 5, 6, PRODUCER, reply_to="amq.gen-1"),
    span("serve", "request", 20, 80, CONSUMER, "q"),
    span("reply", "serve", 70, 71, PRODUCER, "q", replies_to="amq.gen-1"),
)


def test_an_rpc_over_amqp_returns_when_its_reply_has_come() -> None:
    assert path(*RPC, span("got", "reply", 75, 78, CONSUMER)) == [
        ("ask", "self", 0, 5),
        ("request", "self", 5, 6),
        ("serve", "queue_wait", 6, 20),
        ("serve", "self", 20, 70),
        ("reply", "self", 70, 71),
        ("got", "queue_wait", 71, 75),
        ("got", "self", 75, 78),
        ("ask", "self", 78, 100),
    ]


def test_a_reply_read_without_a_span_counts_from_its_publish() -> None:
    assert path(*RPC)[-2:] == [("reply", "self", 70, 71), ("ask", "self", 71, 100)]


def test_a_reply_goes_past_a_forwarder_to_whoever_named_its_address() -> None:
    forwarded = (
        *RPC[:3],
        span("forward", "serve", 25, 26, PRODUCER, "q", reply_to="amq.gen-2"),
        span("other", "forward", 30, 60, CONSUMER, "o"),
        span("reply", "other", 55, 56, PRODUCER, "o", replies_to="amq.gen-1"),
    )
    assert path(*forwarded)[-2:] == [("reply", "self", 55, 56), ("ask", "self", 56, 100)]


def test_consumers_are_reached_across_traces_by_their_links() -> None:
    linked = TreeSpan(SpanKey("u", "process"), None, (key("publish"),), 150, 200, kind=CONSUMER)
    found = path(span("r", None, 0, 100), span("publish", "r", 10, 12, PRODUCER), linked)
    assert found[-2:] == [("process", "queue_wait", 12, 150), ("process", "self", 150, 200)]


def test_an_orphan_is_no_root_where_there_is_one() -> None:
    assert path(span("orphan", "never", 0, 5), span("r", None, 3, 9)) == [("r", "self", 3, 9)]


def test_self_time_counts_children_at_once_once_and_no_consumers() -> None:
    spans = [
        span("r", None, 0, 100),
        span("a", "r", 10, 50),
        span("b", "r", 30, 60),
        span("c", "r", 90, 150),
        span("p", "r", 70, 72, PRODUCER),
        span("m", "p", 71, 99, CONSUMER),
    ]
    own = self_times(spans)
    assert {k.span_id: ns for k, ns in own.items()} == {"r": 38, "a": 40, "b": 30, "c": 60, "p": 2, "m": 28}  # fmt: skip


@st.composite
def stories(draw: Any) -> list[TreeSpan]:
    """Any tree of any kinds at any times: children before, across and after their parents."""
    spans = [span("0", None, 100, 100 + draw(st.integers(0, 60)))]
    for index in range(1, draw(st.integers(1, 12))):
        start = draw(st.integers(90, 180))
        kind = draw(st.sampled_from([INTERNAL, CLIENT, SERVER, PRODUCER, CONSUMER]))
        spans.append(
            span(
                str(index),
                str(draw(st.integers(0, index - 1))),
                start,
                start + draw(st.integers(0, 50)),
                kind,
                draw(st.sampled_from("pq")) if kind not in (SERVER, CONSUMER) else str(index),
            )
        )
    return spans


def ticked(spans: Sequence[TreeSpan]) -> dict[int, tuple[str, str]]:
    """Tick → who is charged and as what. Goes back tick by tick and asks at each who runs."""
    by = {s.key: s for s in spans}
    root = spans[0]

    def depth(s: TreeSpan) -> int:
        return 0 if s.parent is None else 1 + depth(by[s.parent])

    def trail(s: TreeSpan) -> list[tuple[int, SpanKey]]:
        above = [] if s.parent is None else trail(by[s.parent])
        return [*above, (s.start_ns, s.key)]

    end = max(s.end_ns for s in spans)
    last = min((s for s in spans if s.end_ns == end), key=lambda s: (depth(s), trail(s)))
    charged: dict[int, tuple[str, str]] = {}

    def returned(child: TreeSpan) -> int:
        above = by[child.parent] if child.parent else root
        both = above.kind == CLIENT and child.kind == SERVER
        return min(child.end_ns, above.end_ns) if both else child.end_ns

    def waited(s: TreeSpan) -> list[tuple[int, SpanKey, SpanKey]]:
        """(when, what, by which child) of all below that may have returned to ``s``."""
        found: list[tuple[int, SpanKey, SpanKey]] = []
        for c in spans:
            called = c
            while called.kind != CONSUMER and called.parent is not None:
                if called.parent == s.key:
                    found.append((returned(c), c.key, called.key))
                    break
                called = by[called.parent]
                if returned(c) <= called.end_ns:
                    break
        return found

    def below(s: TreeSpan, now: int, floor: int, after: str) -> int:
        """Back through ``s`` from ``now``; where it came to."""
        lowest = max(floor, s.start_ns)
        server = s.kind == CLIENT and any(c.parent == s.key and c.kind == SERVER for c in spans)
        while now > lowest:
            back = [
                (entry, called)
                for when, entry, called in waited(s)
                if when == now and by[entry].start_ns < now and by[called].start_ns < now
            ]
            if back:
                entry, called = max(back)
                now = along(by[entry], called, now, max(lowest, by[called].start_ns))
                continue
            own = "network" if server else "self"
            charged[now] = (s.key.span_id, after if now > s.end_ns else own)
            now -= 1
        return now

    def along(at: TreeSpan, until: SpanKey, now: int, floor: int) -> int:
        """Back by causes from the end of ``at`` to the beginning of ``until``."""
        after = "gap"
        while True:
            now = below(at, now, floor, after)
            if at.key == until or at.parent is None:
                return now
            above = by[at.parent]
            after = "gap" if above.process == at.process else "network"
            if at.kind == CONSUMER:
                sent = above.end_ns if above.end_ns <= now else above.start_ns
                while now > max(sent, floor):
                    charged[now] = (at.key.span_id, "queue_wait")
                    now -= 1
            at = above

    along(last, root.key, last.end_ns, root.start_ns)
    return charged


@settings(max_examples=100, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_any_story_equals_the_walk_tick_by_tick_in_any_order_of_arrival(
    spans: list[TreeSpan], rng: Any
) -> None:
    told = path_of(spans)
    ticks = {
        tick: (k.span_id, s.kind) for k, s in told for tick in range(s.start_ns + 1, s.end_ns + 1)
    }
    found = [segment for _, segment in told]
    assert ticks == ticked(spans)
    assert all(a.end_ns == b.start_ns for a, b in itertools.pairwise(found))
    assert sum(s.end_ns - s.start_ns for s in found) == max(0, max(s.end_ns for s in spans) - 100)
    shuffled = list(spans)
    rng.shuffle(shuffled)
    assert path_of(shuffled) == told


@settings(max_examples=60, deadline=None)
@given(stories())
def test_self_time_is_the_ticks_without_a_child(spans: list[TreeSpan]) -> None:
    own = self_times(spans)
    for s in spans:
        kids = [c for c in spans if c.parent == s.key and c.kind != CONSUMER]
        free = [t for t in range(s.start_ns, s.end_ns) if not any(c.start_ns <= t < c.end_ns for c in kids)]  # fmt: skip
        assert own[s.key] == len(free)


@pytest.mark.parametrize("lifted", [0, 500_000])
def test_a_long_chain_of_spans_that_outlast_one_another_is_covered_once(
    monkeypatch: pytest.MonkeyPatch, lifted: int
) -> None:
    """What outlasts all above it returns to each of them: of very many, to the nearest alone."""
    monkeypatch.setattr("strayline_collector.trace.critical_path.MAX_LIFTED", lifted)
    chain = [span(f"{n}", f"{n - 1}" if n else None, n, 1000 + n) for n in range(300)]
    found = path(*chain)
    assert all(a[3] == b[2] for a, b in itertools.pairwise(found))
    assert (found[0][2], found[-1][3]) == (0, 1299)
    assert path(*chain[::-1]) == found
