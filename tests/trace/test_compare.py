"""Stories compared: any edit of a story is found, and nothing else is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.trace.compare import Signature, Story, compare
from strayline_collector.trace.spans import Spans, TreeSpan
from strayline_collector.trace.stitch import SpanKey


def story(trace: str, spans: Sequence[tuple[str, str | None, int, int]]) -> Story:
    """Spans as (name, parent, start, end); what is before a dot in a name says what it does."""
    tree = Spans.of(
        TreeSpan(SpanKey(trace, n), SpanKey(trace, p) if p else None, (), start, end)
        for n, p, start, end in spans
    )
    return Story(tree, [Signature("s", 1, n.partition(".")[0]) for n in tree.span_id])


def changes(a: Story, b: Story) -> list[tuple[str, str]]:
    return [(pair.signature.name, pair.change) for pair in compare(a, b)]


BASE: list[tuple[str, str | None, int, int]] = [
    ("root", None, 0, 100), ("a", "root", 0, 10), ("b", "root", 20, 30), ("c", "root", 40, 50), ("d", "b", 22, 24)
]  # fmt: skip


def test_calls_at_once_have_no_order() -> None:
    together = [("root", None, 0, 100), ("b", "root", 0, 30), ("a", "root", 5, 30)]
    apart = [("root", None, 0, 100), ("a", "root", 0, 10), ("b", "root", 20, 30)]
    assert changes(story("x", together), story("y", apart)) == [
        ("root", "same"), ("a", "same"), ("b", "same"),
    ]  # fmt: skip


def test_one_call_moved_is_one_reordered() -> None:
    moved = [("root", None, 0, 100), ("b", "root", 0, 10), ("d", "b", 2, 4), ("c", "root", 20, 30), ("a", "root", 40, 50)]  # fmt: skip
    assert Counter(changes(story("x", BASE), story("y", moved))) == Counter(
        [("root", "same"), ("b", "same"), ("d", "same"), ("c", "same"), ("a", "reordered")]
    )


def test_a_repeated_call_is_added_as_often_as_it_is_repeated() -> None:
    many = [*BASE, ("a.2", "root", 60, 70), ("a.3", "root", 80, 90)]
    assert Counter(changes(story("x", BASE), story("y", many)))["a", "added"] == 2


def test_what_is_gone_is_missing_with_all_below_it() -> None:
    left = [span for span in BASE if span[0] not in ("b", "d")]
    found = changes(story("x", BASE), story("y", left))
    assert [change for change in found if change[1] == "missing"] == [("b", "missing"), ("d", "missing")]  # fmt: skip


@st.composite
def stories(draw: Any) -> list[tuple[str, str | None, int, int]]:
    spans: list[tuple[str, str | None, int, int]] = [("r", None, 0, 10_000)]
    for index in range(1, draw(st.integers(1, 14))):
        name = f"{draw(st.sampled_from('abc'))}.{index}"
        start = draw(st.integers(0, 9000))
        parent = draw(st.sampled_from(spans))[0]
        spans.append((name, parent, start, start + draw(st.integers(0, 500))))
    return spans


@settings(max_examples=60, deadline=None)
@given(stories(), st.integers(-1000, 1000), st.randoms(use_true_random=False))
def test_a_story_equals_itself_at_another_time_in_any_order(
    spans: list[tuple[str, str | None, int, int]], later: int, rng: Any
) -> None:
    moved = [(name, parent, start + later, end + later) for name, parent, start, end in spans]
    rng.shuffle(moved)
    a, b = story("x", spans), story("y", moved)
    pairs = compare(a, b)
    assert {pair.change for pair in pairs} == {"same"}
    assert all(
        p.a is not None and p.b is not None and a.spans.span_id[p.a] == b.spans.span_id[p.b]
        for p in pairs
    )
    assert len(pairs) == len(spans)


@settings(max_examples=60, deadline=None)
@given(stories(), st.data())
def test_every_span_of_both_is_in_one_pair_and_the_mirror_image_agrees(
    spans: list[tuple[str, str | None, int, int]], data: Any
) -> None:
    less = data.draw(st.sets(st.sampled_from([s[0] for s in spans[1:]] or ["r"])))
    a, b = story("x", spans), story("y", [s for s in spans if s[0] not in less or s[0] == "r"])
    there, back = compare(a, b), compare(b, a)
    for pairs, first, second in ((there, a, b), (back, b, a)):
        assert sorted(p.a for p in pairs if p.a is not None) == list(range(len(first.spans)))
        assert sorted(p.b for p in pairs if p.b is not None) == list(range(len(second.spans)))
    count = Counter(pair.change for pair in there)
    mirror = Counter(pair.change for pair in back)
    assert (count["added"], count["missing"]) == (mirror["missing"], mirror["added"])
