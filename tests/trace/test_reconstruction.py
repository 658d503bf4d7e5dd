"""What truly happened, told as spans by clocks that disagree, some lost, in any order, and put
together again: equal where nothing is lost, never wrong without a word where something is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.clock import corrected, correction, orders
from strayline_collector.trace.spans import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    PRODUCER,
    SERVER,
    Spans,
    TreeSpan,
)
from strayline_collector.trace.stitch import Known, Link, SpanKey, stitch
from strayline_collector.trace.tree import missing_spans
from tests.support.tree import drawn_under, shifted


@dataclass
class Truth:
    """Spans as they happened, and what truly caused each."""

    spans: list[TreeSpan] = field(default_factory=list[TreeSpan])
    causes: dict[SpanKey, SpanKey | None] = field(default_factory=dict[SpanKey, SpanKey | None])
    traces: int = 0

    def add(
        self, cause: TreeSpan | None, kind: int, process: str, start: int, end: int,
        parent: SpanKey | None, trace: str, links: tuple[SpanKey, ...] = (),
    ) -> TreeSpan:  # fmt: skip
        key = SpanKey(trace, str(len(self.spans)))
        span = TreeSpan(key, parent, links, start, end, kind=kind, clock=process, process=process)
        self.spans.append(span)
        self.causes[key] = None if cause is None else cause.key
        return span

    def fresh_trace(self) -> str:
        self.traces += 1
        return f"t{self.traces}"


PROCESSES = ("gate", "shop", "stock", "mail")


@st.composite
def truths(draw: Any) -> Truth:
    truth = Truth()
    root = truth.add(None, SERVER, "gate", 1000, 3000, None, truth.fresh_trace())
    open_spans, sent = [root], list[TreeSpan]()
    for _ in range(draw(st.integers(0, 12))):
        here = draw(st.sampled_from(open_spans))
        process, trace = here.process, here.key.trace_id
        other = draw(st.sampled_from([p for p in PROCESSES if p != process]))
        at = draw(st.integers(here.start_ns, here.end_ns))
        end = draw(st.integers(at, here.end_ns))
        how = draw(st.sampled_from(["internal", "http", "queue", "linked", "fanout", "batch"]))
        if how == "internal":
            open_spans.append(truth.add(here, INTERNAL, process, at, end, here.key, trace))
        elif how == "http":
            client = truth.add(here, CLIENT, process, at, end, here.key, trace)
            begun = draw(st.integers(at, end))
            done = draw(st.integers(begun, end))
            open_spans.append(truth.add(client, SERVER, other, begun, done, client.key, trace))
        elif how == "batch" and sent:
            several = draw(st.lists(st.sampled_from(sent), min_size=1, max_size=3, unique=True))
            begun = max(s.end_ns for s in several) + 10
            links = tuple(s.key for s in several)
            fresh = truth.fresh_trace()
            open_spans.append(
                truth.add(several[0], CONSUMER, other, begun, begun + 50, None, fresh, links)
            )
        else:
            producer = truth.add(here, PRODUCER, process, at, end, here.key, trace)
            sent.append(producer)
            for _ in range(2 if how == "fanout" else 1):
                begun = draw(st.integers(at, end + 500))
                times = (begun, begun + draw(st.integers(0, 300)))
                if how == "linked":
                    new, links = truth.fresh_trace(), (producer.key,)
                    open_spans.append(
                        truth.add(producer, CONSUMER, other, *times, None, new, links)
                    )
                else:
                    open_spans.append(
                        truth.add(producer, CONSUMER, other, *times, producer.key, trace)
                    )
    return truth  # fmt: skip


def told(truth: Truth, draw: random.Random) -> list[TreeSpan]:
    """Each process by its own clock, in any order."""
    ahead = {process: draw.randint(-5000, 5000) for process in PROCESSES}
    spans = [shifted(span, ahead[span.process]) for span in truth.spans]
    draw.shuffle(spans)
    return spans


def together(spans: Sequence[TreeSpan], trace_id: str = "t1") -> list[TreeSpan]:
    """The spans of a trace's story, as they are stored."""

    def lookup(trace_ids: Sequence[str]) -> Known:
        links = [
            Link(span.key, to)
            for span in spans
            for to in span.links
            if span.key.trace_id in trace_ids or to.trace_id in trace_ids
        ]
        return Known({s.key: s.parent for s in spans if s.key.trace_id in trace_ids}, links)

    story = stitch(trace_id, lookup)
    assert not story.cut
    return [span for span in spans if span.key in story.spans]


@settings(max_examples=100, deadline=None)
@given(truths(), st.integers(0, 2**32))
def test_what_is_told_whole_is_put_together_as_it_happened(truth: Truth, seed: int) -> None:
    spans = Spans.of(together(told(truth, random.Random(seed))))
    assert drawn_under(spans) == truth.causes
    assert missing_spans(spans) == []
    change = correction(orders(spans), "gate")
    assert change.possible
    assert drawn_under(corrected(spans, change.offsets)) == truth.causes


@settings(max_examples=100, deadline=None)
@given(truths(), st.integers(0, 2**32), st.data())
def test_what_is_lost_is_named_and_nothing_is_put_in_its_place(
    truth: Truth, seed: int, data: Any
) -> None:
    lost = data.draw(st.sets(st.sampled_from([s.key for s in truth.spans[1:]] or [None])))
    left = [span for span in told(truth, random.Random(seed)) if span.key not in lost]
    spans = together(left)
    tree = Spans.of(spans)
    keys = {span.key for span in spans}
    missing = {named.key: {*named.children, *named.linked} for named in missing_spans(tree)}
    assert set(missing) <= lost | {s.key for s in left}  # those of other stories are stored
    for key, cause in drawn_under(tree).items():
        true_cause = truth.causes[key]
        if true_cause in keys or true_cause is None:
            assert cause == true_cause
        else:  # another message of its batch, or nobody: and the lost one is named
            assert cause is None or cause in next(s.links for s in spans if s.key == key)
            assert true_cause in missing
            assert key in missing[true_cause]
    for span in left:  # what is in no story is told by its own trace
        if span.key not in keys:
            assert span.key in {s.key for s in together(left, span.key.trace_id)}


@settings(max_examples=60, deadline=None)
@given(truths(), st.integers(0, 2**32), st.data())
def test_the_order_of_arrival_changes_nothing(truth: Truth, seed: int, data: Any) -> None:
    lost = data.draw(st.sets(st.sampled_from([s.key for s in truth.spans[1:]] or [None])))
    once = [span for span in told(truth, random.Random(seed)) if span.key not in lost]
    again = random.Random(seed + 1).sample(once, len(once))
    one, other = Spans.of(together(once)), Spans.of(together(again))
    assert drawn_under(one) == drawn_under(other)
    assert missing_spans(one) == missing_spans(other)


def bled(parent_ends: int, *links: str) -> TreeSpan | None:
    """What a consumer started within a request is drawn under, when it handles a later message."""
    request = TreeSpan(SpanKey("a", "r"), None, (), 0, parent_ends, kind=SERVER, process="p")
    publish = TreeSpan(SpanKey("b", "send"), None, (), 40, 50, kind=PRODUCER, process="q")
    consumer = TreeSpan(
        SpanKey("a", "c"), request.key, tuple(SpanKey("b", link) for link in links), 100, 120,
        kind=CONSUMER, process="p",
    )  # fmt: skip
    spans = {s.key: s for s in (request, publish, consumer)}
    cause = drawn_under(Spans.of(spans.values()))[consumer.key]
    return None if cause is None else spans[cause]


def test_a_consumer_started_within_a_request_is_not_drawn_below_it() -> None:
    assert bled(30) is None
    for ends in (30, 500):
        cause = bled(ends, "send")
        assert cause is not None
        assert cause.kind == PRODUCER


def test_a_handler_within_its_request_keeps_it() -> None:
    cause = bled(500)
    assert cause is not None
    assert cause.kind == SERVER


def test_a_storm_of_links_ends_at_a_bound_that_is_said() -> None:
    publish = SpanKey("a", "send")

    def lookup(trace_ids: Sequence[str]) -> Known:
        if list(trace_ids) == ["a"]:
            links = [Link(SpanKey(f"t{n:05}", "x"), publish) for n in range(5000)]
            return Known({publish: None}, links)
        return Known({SpanKey(t, "x"): None for t in trace_ids}, [])

    story = stitch("a", lookup)
    assert (len(story.spans), story.cut) == (1000, {"traces"})
