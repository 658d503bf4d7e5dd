"""Clocks that disagree: bounds hold the truth, corrections keep the order of what was sent."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.clock import Bound, Orders, bounds, corrected, correction, orders
from strayline_collector.trace.spans import CLIENT, CONSUMER, PRODUCER, SERVER, Spans, TreeSpan
from strayline_collector.trace.stitch import SpanKey
from tests.support.tree import shifted


def span(
    name: str, parent: str | None, kind: int, clock: str, start: int, end: int, **more: Any
) -> TreeSpan:
    key = SpanKey("t", parent) if parent else None
    return TreeSpan(SpanKey("t", name), key, (), start, end, kind=kind, clock=clock, **more)


def call(start: int, end: int) -> list[TreeSpan]:
    return [
        span("client", None, CLIENT, "a", 1000, 1100),
        span("server", "client", SERVER, "b", start, end),
    ]


def shown(spans: list[TreeSpan]) -> Orders:
    return orders(Spans.of(spans))


def times(spans: list[TreeSpan], root: str = "a") -> dict[str, tuple[int, int]]:
    change = correction(shown(spans), root)
    told = corrected(Spans.of(spans), change.offsets)
    return dict(zip(told.span_id, zip(told.start_ns, told.end_ns, strict=True), strict=True))


def test_a_request_and_its_response_bracket_the_offset() -> None:
    assert bounds(shown(call(1500, 1580))) == [Bound("a", "b", 480, 500, True)]


def test_a_server_is_set_back_to_the_middle_of_its_bracket() -> None:
    assert times(call(1500, 1580))["server"] == (1010, 1090)
    assert times(call(500, 580))["server"] == (1010, 1090)


def test_clocks_that_may_agree_are_left_alone() -> None:
    assert times(call(1003, 1090))["server"] == (1003, 1090)


def test_spans_of_one_host_bound_nothing() -> None:
    spans = [s._replace(clock="a") for s in call(1500, 1580)]
    assert bounds(shown(spans)) == []
    assert times(spans)["server"] == (1500, 1580)


def test_a_server_that_outlasts_its_client_bounds_by_its_beginning_alone() -> None:
    assert bounds(shown(call(1010, 9000))) == [Bound("a", "b", -90, 10, True)]


def publish(start: int, end: int) -> list[TreeSpan]:
    return [
        span("send", None, PRODUCER, "a", 1000, 1010),
        span("process", "send", CONSUMER, "b", start, end),
    ]


def test_a_message_bounds_one_side() -> None:
    assert bounds(shown(publish(700, 800))) == [Bound("a", "b", None, -300, True)]


def test_a_consumer_is_moved_behind_its_publish_and_not_into_it() -> None:
    assert times(publish(700, 800))["process"] == (1010, 1110)
    assert times(publish(5000, 5100))["process"] == (5000, 5100)
    assert times(publish(1004, 1050))["process"] == (1004, 1050)


def test_the_receipt_counts_where_the_handling_began_later() -> None:
    spans = publish(1200, 1300)
    spans[1] = spans[1]._replace(received_ns=990)
    assert bounds(shown(spans)) == [Bound("a", "b", None, -10, True)]
    assert times(spans)["process"] == (1210, 1310)


def test_links_of_a_batch_bound_like_parents() -> None:
    batch = span("batch", None, CONSUMER, "b", 700, 800)
    spans = [publish(0, 0)[0], batch._replace(links=(SpanKey("t", "send"),))]
    assert bounds(shown(spans)) == [Bound("a", "b", None, -300, True)]


def test_clocks_that_drift_are_said_and_nothing_is_moved() -> None:
    there = span("there", None, PRODUCER, "a", 1000, 1000)
    back = span("back", "got", PRODUCER, "b", 600, 600)
    spans = [
        there,
        span("got", "there", CONSUMER, "b", 500, 600),
        back,
        span("home", "back", CONSUMER, "a", 0, 10),
    ]
    assert bounds(shown(spans)) == [Bound("a", "b", 600, -500, False)]
    change = correction(shown(spans), "a")
    assert (change.possible, change.offsets) == (False, {"a": 0, "b": 0})


def test_a_correction_reaches_clocks_behind_the_corrected_one() -> None:
    spans = [
        *call(5000, 5080),
        span("client2", "server", CLIENT, "b", 5010, 5070),
        span("server2", "client2", SERVER, "c", 5020, 5060),
    ]
    found = times(spans)
    assert found["client"][0] <= found["server"][0] <= found["client2"][0] <= found["server2"][0]
    assert found["server2"][1] <= found["client2"][1] <= found["client"][1]


KINDS = ((CLIENT, SERVER), (PRODUCER, CONSUMER))


@st.composite
def true_stories(draw: Any, *, confirmed: bool = True) -> tuple[list[TreeSpan], dict[str, int]]:
    """Pairs of caller and callee as they truly happened, and how far ahead each clock is;
    ``confirmed``: a publish may end after its message was handled."""
    spans = [span("0", None, SERVER, "h0", 10_000, 20_000)]
    for index in range(1, draw(st.integers(1, 7))):
        above = spans[draw(st.integers(0, len(spans) // 2)) * 2 if len(spans) > 1 else 0]
        above = above if above.kind in (SERVER, CONSUMER) else spans[0]
        out, into = draw(st.sampled_from(KINDS))
        start = above.start_ns + draw(st.integers(0, 500))
        end = start + draw(st.integers(4, 900))
        sent = start if out == CLIENT or confirmed else end
        begun = draw(st.integers(sent, end if out == CLIENT else end + 900))
        done = draw(st.integers(begun, end)) if out == CLIENT else begun + draw(st.integers(0, 900))
        clock = f"h{draw(st.integers(0, 3))}"
        spans.append(span(f"{index}o", above.key.span_id, out, above.clock or "", start, end))
        spans.append(span(f"{index}", f"{index}o", into, clock, begun, done))
    ahead = {f"h{n}": draw(st.integers(-5000, 5000)) for n in range(1, 4)}
    return spans, {"h0": 0, **ahead}


def within(spans: Spans) -> set[SpanKey]:
    """Consumers that begin while their publish goes on."""
    return {
        spans.key(place)
        for place, sent in enumerate(spans.parent)
        if spans.kind[place] == CONSUMER
        and spans.start_ns[sent] <= spans.start_ns[place] < spans.end_ns[sent]
    }


@settings(max_examples=100, deadline=None)
@given(true_stories(confirmed=False))
def test_no_consumer_is_moved_into_its_publish(
    story: tuple[list[TreeSpan], dict[str, int]],
) -> None:
    spans, ahead = story
    told = [shifted(s, ahead[s.clock or ""]) for s in spans]
    change = correction(shown(told), "h0")
    once = Spans.of(told)
    assert within(corrected(once, change.offsets)) <= within(once)


@settings(max_examples=100, deadline=None)
@given(true_stories(), st.randoms(use_true_random=False))
def test_bounds_hold_the_truth_and_corrections_keep_every_order(
    story: tuple[list[TreeSpan], dict[str, int]], rng: Any
) -> None:
    spans, ahead = story
    told = [shifted(s, ahead[s.clock or ""]) for s in spans]
    found = shown(told)
    for bound in bounds(found):
        assert bound.consistent
        assert bound.least_ns is None or bound.least_ns <= ahead[bound.b] - ahead[bound.a]
        assert bound.most_ns is None or bound.most_ns >= ahead[bound.b] - ahead[bound.a]
    change = correction(found, "h0")
    assert change.possible
    assert change.offsets["h0"] == 0
    after = orders(corrected(Spans.of(told), change.offsets))
    assert all(gap_ns >= 0 for gap_ns in (*after.sends.values(), *after.responses.values()))
    shuffled = list(told)
    rng.shuffle(shuffled)
    assert correction(shown(shuffled), "h0") == change
    assert bounds(shown(shuffled)) == bounds(found)
    assert correction(shown(spans), "h0").offsets == dict.fromkeys(change.offsets, 0)
