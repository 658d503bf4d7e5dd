"""How fast detectors judge: a million deliveries from scratch, and 20,000 messages a second live.

    python tests/bench/judge.py scratch [--messages 1000000] [--only reordered]
    python tests/bench/judge.py live [--seconds 20] [--before 1000000]
    python tests/bench/judge.py history [--messages 300000]

The history is written into the store's tables as a shim's facts would stand there: four queues,
eight producers of five channels each, two consumers a queue; of 20,000 messages one is given back
and comes late. ``scratch`` gives CPU seconds by detector. ``live`` puts loads of a quarter second
beside a history of that length and judges once a second, as a collector does: the share of a core
that judging takes, how long a run takes, and what it adds to the wait for the next run. ``history``
gives what a run over little that is new takes after a long history in which consumers restarted 200
times within an hour, with handlers that overtake one another, beside one after a short history of that kind.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time

from strayline_collector.app import DETECT_EVERY_S
from strayline_collector.detect import DETECTORS
from strayline_collector.detect.runner import POPULATION_PAUSE_S, Runner
from strayline_collector.store.duckdb.store import DuckDBStore

LOADS_PER_S = 4
RATE = 20_000
STEP_NS = 1_000_000_000 // RATE
_NUMBERED = """
    SELECT i, i % $queues AS q, i % 8 AS p, i // 8 % 5 AS c, i // 40 + 1 AS n, CASE WHEN $lasts = 0 THEN i % $late_one_of = 77 ELSE i % $lasts >= $lasts - 5 END AS late,
        CASE WHEN $lasts = 0 THEN 0 ELSE i // $lasts END AS life, $lasts > 0 AND i % 20 = 3 AS slow,
        1700000000000000000 + i * $step::BIGINT AS at_ns
    FROM range($first, $first + $messages) r(i)
"""
_PUBLISHES = f"""
    INSERT INTO publish_facts BY NAME
    SELECT $batch AS batch, $batch AS first_batch, printf('%016x', hash(p)) || '.' || c || '.' || n AS message, 'shim' AS source,
        'rabbit@shop' AS broker, '/' AS vhost, 'orders' AS exchange, 'order.' || q AS routing_key, 'created' || q AS type,
        'orders' || p AS service, 'p' || p AS instance, 'h' AS host, printf('%016x', hash(p)) AS epoch, c AS channel, n, true AS stamp_ok,
        'id' || i AS message_id, true AS mandatory, printf('%016x', hash(i)) AS body_hash, 'confirmed' AS outcome,
        printf('%032x', i) AS trace_id, printf('%016x', i) AS span_id, 'POST /orders' AS operation, printf('%016x', i) AS operation_span_id,
        at_ns AS start_ns, at_ns + 8 * $step::BIGINT AS end_ns
    FROM ({_NUMBERED})
"""
_DELIVERIES = f"""
    INSERT INTO delivery_facts BY NAME
    WITH tries AS (
        SELECT *, 0 AS again FROM ({_NUMBERED}) UNION ALL SELECT *, 1 FROM ({_NUMBERED}) WHERE late
    ), placed AS (SELECT * REPLACE (CASE WHEN $lasts > 0 THEN life + again ELSE 0 END AS life), received_ns + (2 + slow::INTEGER * 100) * $step::BIGINT AS done_ns FROM (SELECT *, at_ns + (20 + again * 1000) * $step::BIGINT + again * $step::BIGINT // 2 AS received_ns FROM tries))
    SELECT $batch AS batch, $batch AS first_batch, printf('%016x', hash(p)) || '.' || c || '.' || n AS message, 'shim' AS source,
        'rabbit@shop' AS broker, '/' AS vhost, 'queue' || q AS queue, 'orders' AS exchange, 'order.' || q AS routing_key,
        'worker' || q AS service, 'w' || q AS instance, 'h' AS host, printf('%016x', hash(100 + q + 1000 * life)) AS epoch, i // 4 % 2 AS channel, 'ctag' AS consumer_tag,
        received_ns // (4 * $step::BIGINT) * 2 + again AS delivery_tag, again = 1 AS redelivered, '1.' || printf('%016x', hash(p)) || '.' || c || '.' || n || '.0000' AS stamp,
        true AS stamp_ok, 'id' || i AS message_id, printf('%032x', i) AS trace_id, printf('%016x', 9000000000 + i * 2 + again) AS span_id,
        printf('%032x', i) AS context_trace_id, printf('%016x', i) AS context_span_id,
        printf('%032x', i) AS publish_trace_id, printf('%016x', i) AS publish_span_id, received_ns,
        received_ns AS handled_start_ns, CASE WHEN late AND again = 0 AND $lasts > 0 THEN NULL ELSE done_ns END AS handled_end_ns, false AS failed,
        CASE WHEN NOT late OR again = 1 THEN 'ack' WHEN $lasts = 0 THEN 'nack_requeue' END AS settlement, CASE WHEN late AND again = 0 AND $lasts > 0 THEN NULL ELSE done_ns END AS settled_ns
    FROM placed
"""
_TOPOLOGY = """
    INSERT INTO topology_facts BY NAME
    SELECT 1 AS batch, 'shim' AS source, 'intended' AS role, false AS complete, 'rabbit@shop' AS broker, '/' AS vhost, 'worker' || q AS service,
        'w' || q AS instance, printf('%016x', hash(100 + q)) AS epoch, 1699999999000000000 AS seen_ns, true AS durable, '{}' AS arguments,
        unnest([
            {action: 'declare', kind: 'exchange', name: 'orders', type: 'topic', source_name: NULL, destination: NULL, destination_kind: NULL, routing_key: NULL},
            {action: 'declare', kind: 'queue', name: 'queue' || q, type: NULL, source_name: NULL, destination: NULL, destination_kind: NULL, routing_key: NULL},
            {action: 'bind', kind: 'binding', name: NULL, type: NULL, source_name: 'orders', destination: 'queue' || q, destination_kind: 'queue', routing_key: 'order.' || q}
        ], recursive := true)
    FROM range($queues) r(q)
"""


def put(
    store: DuckDBStore,
    batch: int,
    first: int,
    messages: int,
    *,
    queues: int = 4,
    late_one_of: int = 20_011,
    lasts: int = 0,
) -> None:
    """Messages as load ``batch``, 20,000 a second; of ``late_one_of`` one is given back and comes late. With ``lasts`` every consumer
    ends after so many, with five in hand that come again to the next one, one of twenty handlers is slow, and it is 83 a second."""
    spread = {"queues": queues}
    params = {
        "batch": batch,
        "first": first,
        "messages": messages,
        "late_one_of": late_one_of,
        "lasts": lasts,
        "step": STEP_NS if lasts == 0 else 240 * STEP_NS,
    }
    with store.write() as session:
        session.execute(
            "INSERT INTO loaded BY NAME SELECT $batch AS batch, 1 AS segment, $batch AS byte_offset, 1 AS loaded_ns, 0 AS spans, 0 AS traces, $batch AS about_since",
            {"batch": batch},
        )
        session.execute(_PUBLISHES, params | spread)
        session.execute(_DELIVERIES, params | spread)
        if batch == 1:
            session.execute(_TOPOLOGY, spread)
            session.execute(
                "INSERT INTO processes SELECT 'w' || q, 'worker' || q, 'h', 1, 1700000000000000000, $now FROM range($queues) r(q)",
                {"now": time.time_ns()} | spread,
            )


def scratch(messages: int, only: str | None) -> None:
    store = DuckDBStore.open(":memory:")
    put(store, 1, 0, messages)
    total = 0.0
    for detector in DETECTORS:
        if only is None or detector.name == only:
            runner = Runner(store, detectors=(detector,))
            started = time.process_time()
            found = runner.settle()
            spent = time.process_time() - started
            total += spent
            failed = " FAILED" if runner.failures else ""
            say(f"{detector.name:24}{spent:8.2f} s CPU  {found['findings']} findings{failed}")
    for name in ("all in one run", "again, nothing new"):
        if name.startswith("all"):
            with store.write() as session:
                session.execute("DELETE FROM meta WHERE key LIKE 'judged:%'")
        runner = Runner(store)
        started = time.process_time()
        runner.run()
        say(f"{name:24}{time.process_time() - started:8.2f} s CPU")
    say(f"{'sum':24}{total:8.2f} s CPU, at most {peak_mib():,.0f} MiB resident")
    store.close()


def live(seconds: int, before: int) -> None:
    store = DuckDBStore.open(":memory:")
    put(store, 1, 0, before)
    runner = Runner(store)
    runner.run()
    settled = peak_mib()
    batch, first = 2, before
    spent: list[float] = []
    took: list[float] = []
    for second in range(seconds):
        for _ in range(LOADS_PER_S):
            put(store, batch, first, RATE // LOADS_PER_S)
            batch, first = batch + 1, first + RATE // LOADS_PER_S
        due = second % int(POPULATION_PAUSE_S / DETECT_EVERY_S) == 0
        at = float("-inf") if due else time.monotonic()  # time is not waited for
        runner._population_at = at  # pyright: ignore[reportPrivateUsage]
        cpu, wall = time.process_time(), time.monotonic()
        runner.run()
        spent.append(time.process_time() - cpu)
        took.append(time.monotonic() - wall)
    failed = f" FAILED {sorted(runner.failures)}" if runner.failures else ""
    say(
        f"beside {before:,} messages: {sum(spent) / seconds:.0%} of a core; a run takes {sum(took) / seconds:.2f} s, at most {max(took):.2f} s; "
        f"delay {DETECT_EVERY_S + max(took):.2f} s at most; {settled:,.0f} MiB before, {peak_mib():,.0f} MiB after{failed}"
    )
    store.close()


def history(messages: int) -> None:
    for name, before, lives in (("short", messages // 20, 10), ("long", messages, 200)):
        store = DuckDBStore.open(":memory:")
        lasts = before // lives
        for life in range(lives):
            put(store, 1 + life, life * lasts, lasts, lasts=lasts)
        runner = Runner(store)
        runner.run()
        spent: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(10):
            put(store, 1 + lives + turn, before + turn * 100, 100, lasts=lasts)
            every = turn % 2 == 1
            at = float("-inf") if every else time.monotonic()
            runner._population_at = at  # pyright: ignore[reportPrivateUsage]
            runner._population_s = 0.0  # pyright: ignore[reportPrivateUsage]
            started = time.process_time()
            runner.run()
            spent[every].append(time.process_time() - started)
        with store.read() as session:
            told = session.rows("SELECT count(*) AS verdicts FROM judgements")[0]["verdicts"]
        few, all_of_them = (statistics.median(spent[every]) for every in (False, True))
        failed = f" FAILED {sorted(runner.failures)}" if runner.failures else ""
        say(
            f"after a {name} history ({before:,} messages, {lives} lives, {told:,} verdicts), 100 more: a run takes {few * 1000:.0f} ms of CPU, "
            f"with those that weigh everything {all_of_them * 1000:.0f} ms{failed}"
        )
        store.close()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("what", choices=("scratch", "live", "history"))
    parser.add_argument("--messages", type=int)
    parser.add_argument("--only")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--before", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.what == "scratch":
        scratch(options.messages or 1_000_000, options.only)
    elif options.what == "history":
        history(options.messages or 300_000)
    else:
        live(options.seconds, options.before)
