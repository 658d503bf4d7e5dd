"""``GET /api/v1/coverage``: what is judged of a queue, and what is missing where it is not."""

from __future__ import annotations

from typing import Any

import httpx

from strayline_collector.query.coverage import BY_ABSENCE, NO_NAME, read_coverage
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import (
    Attempt,
    S,
    away,
    binding,
    delivery_row,
    publish_row,
    put,
    queue,
    write,
)
from tests.support.collector import running_collector

CENSUS = [{"consumers": [], "spans_dropped": 0}]


def states(
    store: DuckDBStore, named: tuple[str, ...] = (), failures: dict[str, str] | None = None
) -> dict[str, dict[str, tuple[str, str | None]]]:
    with store.read() as session:
        answer = read_coverage(session, named, failures or {})
    return {
        item["queue"]: {
            v["verdict"] or v["kind"]: (v["state"], v["reason"]) for v in item["verdicts"]
        }
        for item in answer["items"]
    }


def test_with_every_fact_at_hand_every_verdict_is_judged(store: DuckDBStore) -> None:
    topology = [binding("x", "work", "k")]
    write(store, [Attempt(1, 1, 1, 10, 20)], {}, census=CENSUS, topology=topology)
    work = states(store, ("work",))["work"]
    by_habit = {"outlier", "refused", "stalled"}
    assert {kind for kind, (state, _) in work.items() if state != "judged"} == by_habit
    assert all(reason is None for _, reason in work.values())


def test_what_is_missing_is_said(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 20)], topology=[queue("other")])
    found = states(store)
    assert found["work"]["stale_binding"][0] == "unknown"
    assert found["work"]["contract"] == ("unknown", "no contract names it")
    assert found["work"]["lost"][0] == "unknown"
    assert found["other"]["reordered"][0] == "unknown"


def test_a_process_without_a_census_and_one_that_dropped_spans_leave_absence_open(
    store: DuckDBStore,
) -> None:
    write(store, [Attempt(1, 1, 1, 10, 20)], {})
    assert states(store)["work"]["lost"] == (
        "inferred",
        "1 of 1 consuming processes sent no census",
    )


def test_a_stream_promises_no_order(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 20)], {"x-queue-type": "stream"})
    assert states(store)["work"]["reordered"][0] == "unknown"


def test_a_detector_that_failed_is_named_with_the_reason(store: DuckDBStore) -> None:
    with store.read() as session:
        answer = read_coverage(session, (), {"outlier": "Traceback …\nStoreError: out of memory\n"})
    assert answer["failed_detectors"] == [
        {"detector": "outlier", "reason": "StoreError: out of memory"}
    ]


def test_of_other_sdks_only_what_spans_tell_is_judged() -> None:
    with running_collector() as collector:
        collector.replay("d_reorder_nack")
        collector.settle()
        answer: dict[str, Any] = httpx.get(f"http://{collector.api}/api/v1/coverage").json()
    assert answer["failed_detectors"] == []
    billing = next(i for i in answer["items"] if i["queue"] == "billing.orders")
    assert billing["stamped_share"] == 0
    told = {v["verdict"] or v["kind"]: v["state"] for v in billing["verdicts"]}
    assert (told["reordered"], told["handled"], told["dead_lettered"], told["context_lost"]) == (
        "inferred", "unknown", "inferred", "inferred",
    )  # fmt: skip


def test_when_no_collector_listened_is_named_in_its_range(store: DuckDBStore) -> None:
    write(store, [Attempt(1, 1, 1, 10, 20)], {}, census=CENSUS, topology=[binding("x", "work", "k")])  # fmt: skip
    for from_s, to_s in ((85, 135), (985, 4615)):
        away(store, from_s, to_s)
    work = states(store, ("work",))["work"]
    told = "no collector listened 2 times, 1.0 h in all"
    assert {kind for kind, (_, reason) in work.items() if reason == told} == BY_ABSENCE
    with store.read() as session:
        answer = read_coverage(session, (), {}, {"start_ns": 0, "end_ns": 500 * S})
    assert answer["outages"] == [
        {"start": "1970-01-01T00:01:40.000000000Z", "end": "1970-01-01T00:02:00.000000000Z"}
    ]
    reasons = {v["reason"] for v in answer["items"][0]["verdicts"] if v["kind"] == "lost"}
    assert reasons == {"no collector listened once, 20 s in all"}


def test_what_is_handled_from_queues_that_no_span_names_stands_by_who_handled_it(
    store: DuckDBStore,
) -> None:
    silent = [
        {
            **delivery_row(n, Attempt(n, 1, n, 10 * n, 10 * n + 5)),
            "source": "spans", "queue": None, "stamp": None, "epoch": None, "service": "listener",
        }
        for n in (1, 2, 3)
    ]  # fmt: skip
    silent[2] |= {"message": None, "publish_trace_id": None, "publish_span_id": None}
    write(store, [Attempt(9, 1, 1, 10, 20)], {})
    put(store, {"publish_facts": [publish_row(1), publish_row(2)], "delivery_facts": silent}, 2)
    with store.read() as session:
        answer = read_coverage(session, (), {})
    assert [item["queue"] for item in answer["items"]] == ["work"]
    (one,) = answer["unnamed"]
    verdicts = {v["verdict"] or v["kind"]: v for v in one["verdicts"]}
    assert (one["consumer_service"], one["exchange"], one["broker"]) == ("listener", "x", "rabbit")
    assert (one["deliveries"], one["messages"], round(one["publish_known_share"], 2)) == (
        3,
        3,
        0.67,
    )
    inferred = {name for name, v in verdicts.items() if v["state"] == "inferred"}
    assert inferred == {"outlier", "redelivery_loop", "context_lost"}
    rest = {v["reason"] for name, v in verdicts.items() if name not in inferred}
    assert rest == {NO_NAME}
