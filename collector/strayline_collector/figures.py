"""Which figures a running collector gives to ``GET /metrics``: one obvious place to add one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from strayline_collector.detect.figures import standing
from strayline_collector.detect.runner import Runner
from strayline_collector.load import Loader
from strayline_collector.memory import Budget, resident_bytes
from strayline_collector.metrics import Gauge, Metric, Total
from strayline_collector.receive.intake import Intake
from strayline_collector.receive.journal import Journal
from strayline_collector.store.ports import Store


def figures(
    intake: Intake,
    journal: Journal,
    loader: Loader,
    budget: Budget,
    store: Store,
    runner: Runner,
    not_ready: Callable[[], Sequence[str]],
) -> list[Metric]:
    """Every metric, in the order of the pipeline. Names are ``strayline_*``, units in their ends."""
    counters = intake.counters
    return [
        *intake.metrics(),
        Total(
            "strayline_spans_accepted_total",
            "Spans acknowledged as durable",
            lambda: counters.accepted_spans,
        ),
        Total(
            "strayline_spans_rejected_total",
            "Spans refused for their ids",
            lambda: counters.rejected_spans,
        ),
        Total(
            "strayline_bytes_accepted_total",
            "Bytes of the requests acknowledged, decompressed, as protobuf",
            lambda: counters.bytes,
        ),
        Total(
            "strayline_metrics_requests_total",
            "Export requests of metrics, which are not kept",
            lambda: counters.metrics_requests,
        ),
        Total(
            "strayline_logs_requests_total",
            "Export requests of logs, which are not kept",
            lambda: counters.logs_requests,
        ),
        Gauge(
            "strayline_memory_in_flight_bytes",
            "Request bodies that arrive or wait for their answer",
            lambda: budget.used,
        ),
        Gauge(
            "strayline_memory_in_flight_limit_bytes",
            "Above this requests are refused with 503",
            lambda: budget.capacity,
        ),
        Gauge("strayline_memory_resident_bytes", "Of the process", resident_bytes),
        journal.fsync,
        Gauge(
            "strayline_journal_lag_bytes",
            "Acknowledged and not loaded yet",
            journal.backlog_bytes,
        ),
        Gauge(
            "strayline_journal_lag_seconds",
            "Age of the oldest request that is acknowledged and not loaded yet",
            journal.oldest_s,
        ),
        Total(
            "strayline_journal_lost_bytes_total",
            "Bytes of the journal that the disk gave back damaged",
            lambda: journal.lost.bytes,
        ),
        *loader.metrics(),
        Gauge("strayline_store_bytes", "Of the store with its write-ahead log", store.size_bytes),
        Total(
            "strayline_detection_runs_total",
            "Runs of the detectors",
            lambda: runner.status()["runs"],
        ),
        Gauge(
            "strayline_detection_lag_seconds",
            "How far the newest event is past the watermark",
            lambda: runner.status()["lag_s"],
        ),
        runner.opened.counter,
        *standing(store),
        Gauge("strayline_ready", "1 when /ready answers 200", lambda: 0 if not_ready() else 1),
    ]
