"""How traces lie in time and duration, and what tells the slow ones from the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.story import CLIENT, SERVER, START_NS, Told, send_all, trace_id

SLOW = {n for n in range(60) if n % 5 == 0}


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    """60 traces, one a second: each fifth takes 900 ms, fails, and is a customer's of tier gold."""
    with running_collector() as running:
        stories: dict[int, list[Told]] = {}
        for n in range(60):
            begin, length = n * 1000, 900 if n in SLOW else 10 + n % 3
            said: dict[str, str | int] = {"tier": "gold" if n in SLOW else "silver", "number": n, "shop": "one"}  # fmt: skip
            stories[n + 1] = [
                Told("root", "web", SERVER, begin, begin + length, attributes=said),
                Told("call", "web", CLIENT, begin + 1, begin + length - 1, "root", failed=n in SLOW),
            ]  # fmt: skip
        send_all(running.otlp_http, stories)
        running.settle()
        yield running


def _picked(after_ms: int, before_ms: int, least_ms: int, most_ms: int) -> str:
    times = (START_NS + after_ms * 10**6, START_NS + before_ms * 10**6)
    return "~".join(map(str, (*times, least_ms * 10**6, most_ms * 10**6)))


def test_a_spread_counts_every_trace_once_by_time_and_logarithm_of_duration(
    collector: RunningCollector,
) -> None:
    spread = collector.get("/api/v1/search/spread", columns=6, rows=2)
    assert (spread["traces"], spread["truncated"]) == (60, False)
    assert spread["start_unix_nano"] == START_NS
    counted = {(column, row): (n, bad) for column, row, n, bad in spread["cells"]}
    assert counted == {(c, r): ((2, 2) if r else (8, 0)) for c in range(6) for r in (0, 1)}
    assert spread["least_ns"] == pytest.approx(10e6, rel=0.01)
    assert spread["most_ns"] == pytest.approx(900e6, rel=0.01)


def test_a_spread_is_of_what_matches(collector: RunningCollector) -> None:
    assert collector.get("/api/v1/search/spread", q="tier=gold")["traces"] == len(SLOW)
    assert collector.get("/api/v1/search/spread", q="tier=lead")["cells"] == []
    one = collector.get("/api/v1/search/spread", q="number=7")
    assert sum(cell[2] for cell in one["cells"]) == 1
    assert one["least_ns"] < 11e6 < one["most_ns"]


def test_what_the_slow_ones_share_is_told_first(collector: RunningCollector) -> None:
    answer = collector.get("/api/v1/search/distinguish", picked=_picked(0, 60_000, 500, 2_000))
    assert (answer["picked"], answer["others"]) == (len(SLOW), 60 - len(SLOW))
    told = [(i["field"], i["value"], i["picked_share"], i["other_share"]) for i in answer["items"]]
    assert told == [
        ("status", "error", 1, 0),
        ("tier", "gold", 1, 0),
        ("tier", "silver", 0, 1),
    ]  # what all have, and numbers that one has alone, tell nothing apart


def test_a_corner_is_one_in_time_too_and_nothing_in_it_tells_nothing(
    collector: RunningCollector,
) -> None:
    early = collector.get("/api/v1/search/distinguish", picked=_picked(0, 9_999, 0, 9_999))
    assert (early["picked"], early["others"]) == (10, 50)
    nothing = collector.get("/api/v1/search/distinguish", picked=_picked(0, 1, 5_000, 9_999))
    assert (nothing["picked"], nothing["items"]) == (0, [])


def test_the_list_is_narrowed_to_a_corner_and_pages(collector: RunningCollector) -> None:
    picked = _picked(10_000, 40_000, 500, 2_000)
    wanted = [trace_id("a", n + 1) for n in sorted(SLOW, reverse=True) if 10 <= n <= 40]
    got: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"picked": picked, "limit": 3}
        page = collector.get("/api/v1/traces", **params, **({"cursor": cursor} if cursor else {}))
        got += [item["trace_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert got == wanted


@pytest.mark.parametrize("picked", ["", "1~2~3", "a~b~c~d", "1~2~3~-4", "1~2~3~4~5"])
def test_a_corner_that_is_none_is_refused(collector: RunningCollector, picked: str) -> None:
    for path in ("traces", "search/distinguish"):
        answer = httpx.get(f"http://{collector.api}/api/v1/{path}", params={"picked": picked})
        assert answer.status_code == 400
        assert "picked" in answer.json()["detail"]
