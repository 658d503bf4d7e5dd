"""Celery on RabbitMQ: real workers, each pool a process tree of its own, and what they told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celery.app.trace
import celery.signals
import celery.worker.request
import pytest

import strayline
from demo_services.broker import Broker
from strayline_collector.decode.otlp import decode
from strayline_collector.detect.runner import Runner
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.programs import environment, run, started
from tests.support.sink import SunkSpan, running_sink

pytestmark = pytest.mark.broker
ROOT = Path(__file__).parents[3]
SHOP = "tests.instrumentation.amqp.celery_shop"
WORKER = "import strayline.auto, celery.__main__; celery.__main__.main()"
CUSTOMER = f"import strayline.auto; from {SHOP} import customer; customer(kills=%s)"
INTERNAL, CLIENT, PRODUCER, CONSUMER = 1, 3, 4, 5
OK, ERROR = 0, 2
CALLS = (
    "publish celery",
    *(f"apply_async/{task}" for task in ("add", "late", "again", "fail", "refuse", "die")),
    "apply_async/nobody.knows",
)
CONTRIB = "opentelemetry.instrumentation.celery"


@dataclass
class Told:
    """What worker and customer told, once both are gone."""

    pool: str
    confirms: bool
    spans: list[SunkSpan]
    reports: list[SunkSpan]
    worker: int
    store: DuckDBStore

    def of(self, task: str) -> list[SunkSpan]:
        """The runs of a task."""
        return [
            s
            for s in self.spans
            if s.attributes.get("celery.task_name") == task and s.kind == CONSUMER
        ]

    def by_id(self, span_id: str) -> SunkSpan:
        (found,) = (span for span in self.spans if span.span_id == span_id)
        return found

    def within(self, span: SunkSpan) -> list[SunkSpan]:
        return [each for each in self.spans if each.parent_span_id == span.span_id]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with self.store.read() as session:
            return session.rows(sql)

    @property
    def children(self) -> bool:
        return self.pool == "prefork"


def work(broker: Broker, folder: Path, pool: str, **more: str) -> Iterator[Told]:
    """A day in the shop, with a worker of this pool."""
    bodies: list[bytes] = []
    with (
        broker.vhost() as url,
        running_sink() as sink,
        closing(DuckDBStore.open(":memory:")) as store,
    ):
        take = sink.take
        sink.take = lambda body, headers: (bodies.append(body), take(body, headers))[1]
        env = environment(
            sink.endpoint,
            SHOP_BROKER=url,
            OTEL_BSP_SCHEDULE_DELAY="50",
            PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            **more,
        )
        options = ["-P", pool, "-c", "2", "-E", "--hostname", "w@%h"]
        command = [sys.executable, "-c", WORKER, "-A", SHOP, "worker", *options]
        kills = pool == "prefork"
        if kills:  # it waits a second for other workers' word
            options.append("--without-mingle")
        with started(command, env | {"OTEL_SERVICE_NAME": "worker"}, cwd=folder) as program:
            bought = run(
                [sys.executable, "-c", CUSTOMER % kills],
                env | {"OTEL_SERVICE_NAME": "customer"},
                cwd=folder,
                timeout=120,
            )
            assert bought.returncode == 0, bought.stdout + bought.stderr + program.output()
            sink.wait_for(lambda spans: _all_told(spans, kills), 40)
            assert program.stop() == 0, program.output()
            assert "said once" not in program.output() + bought.stderr
        for offset, body in enumerate(bodies, start=1):
            store.append(decode([body], 1), Position(1, offset), 1)
        yield Told(pool, "SHOP_CONFIRMS" in more, sink.spans(), sink.reports(), program.pid, store)


def _all_told(spans: list[SunkSpan], kills: bool) -> bool:
    unhandled = [span for span in spans if span.name == "receive celery"]
    died = [s for s in spans if s.attributes.get("error.type") == "WorkerLostError"]
    return len(unhandled) >= 3 and len(died) >= kills


@pytest.fixture(scope="module", params=["solo", "prefork"])
def told(
    request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    confirms = {"SHOP_CONFIRMS": "1"} if request.param == "prefork" else {}
    yield from work(broker, tmp_path_factory.mktemp("celery"), request.param, **confirms)


@pytest.fixture(scope="module")
def beside_contrib(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    yield from work(
        broker, tmp_path_factory.mktemp("celery"), "prefork", SHOP_CONTRIB="1", SHOP_CONFIRMS="1"
    )


def test_a_task_is_handled_where_it_runs_as_child_of_its_publish(told: Told) -> None:
    first = told.of("add")[0]
    assert first.name == "process celery"
    publish = told.by_id(first.parent_span_id)
    assert (publish.name, publish.kind, publish.service) == ("publish celery", PRODUCER, "customer")
    assert first.links == ((publish.trace_id, publish.span_id),)
    assert first.attributes["strayline.stamp"] == publish.attributes["strayline.stamp"]
    assert publish.attributes["strayline.outcome"] == (
        "confirmed" if told.confirms else "unconfirmed"
    )
    assert (first.service, first.pid == told.worker) == ("worker", not told.children)
    assert first.attributes["celery.state"] == "SUCCESS"
    assert first.attributes["strayline.queue"] == "celery"


def test_what_a_task_does_is_in_its_messages_trace(told: Told) -> None:
    first = told.of("add")[0]
    request, result = sorted(told.within(first), key=lambda span: span.kind)
    assert (request.name, request.kind) == ("GET", CLIENT)
    assert result.kind == PRODUCER  # the result, to the queue of whoever called
    (answered,) = told.within(result)
    assert (answered.kind, answered.service) == (CONSUMER, "customer")
    assert answered.attributes["strayline.settlement"] == "auto"
    assert answered.trace_id == first.trace_id


def test_a_failing_task_is_an_error(told: Told) -> None:
    (failed,) = told.of("fail")
    assert failed.status == ERROR
    assert failed.attributes["error.type"] == "ValueError"
    assert failed.attributes["celery.state"] == "FAILURE"
    others = [s for s in told.spans if s.kind == CONSUMER and s.status == ERROR]
    assert {s.attributes["error.type"] for s in others} <= {"ValueError", "WorkerLostError"}


def test_a_retry_is_a_publish_within_the_run_that_asked_for_it(told: Told) -> None:
    by_state = {span.attributes["celery.state"]: span for span in told.of("again")}
    assert by_state.keys() == {"RETRY", "SUCCESS"}
    again = told.by_id(by_state["SUCCESS"].parent_span_id)
    assert again.parent_span_id == by_state["RETRY"].span_id
    assert by_state["RETRY"].status == OK


def test_a_chain_is_one_trace(told: Told) -> None:
    second = [s for s in told.of("add") if told.by_id(s.parent_span_id).service == "worker"]
    assert len(second) == 1
    first = told.by_id(told.by_id(second[0].parent_span_id).parent_span_id)
    assert first in told.of("add")


def test_the_history_has_each_delivery_once_with_what_became_of_it(told: Told) -> None:
    found = told.rows(
        "SELECT d.delivery_tag AS tag, d.settlement, count(*) OVER (PARTITION BY d.message) AS times,"
        " p.outcome, d.channel, d.redelivered"
        " FROM deliveries d LEFT JOIN publishes p USING (message) WHERE d.queue = 'celery'"
        " ORDER BY tag"
    )
    assert [row["tag"] for row in found] == list(range(1, 13 + told.children))
    assert {row["times"] for row in found} == {1}
    assert {row["channel"] for row in found} == {found[0]["channel"]}
    assert [row["settlement"] for row in found if row["settlement"] != "ack"] == ["reject_drop"] * 2
    assert {row["outcome"] for row in found} == {"confirmed" if told.confirms else "unconfirmed"}


def test_waiting_for_its_time_is_no_handling(told: Told) -> None:
    found = told.rows(
        "SELECT handled_start - received AS waited FROM deliveries WHERE queue = 'celery'"
    )
    waited = [row["waited"] for row in found]
    assert sum(ns > 350_000_000 for ns in waited) >= 1  # the one with a countdown
    assert min(waited) >= 0


def test_what_no_task_handled_was_received_and_settled(told: Told) -> None:
    unhandled = [s for s in told.spans if s.name == "receive celery"]
    assert {s.kind for s in unhandled} == {CLIENT}
    assert all(told.by_id(s.parent_span_id).kind == PRODUCER for s in unhandled)
    settled = told.rows(
        "SELECT settlement FROM deliveries"
        f" WHERE span_id IN ({', '.join(repr(s.span_id) for s in unhandled)}) ORDER BY settlement"
    )
    # expired, revoked while it waited, of a task that the worker does not know
    assert [row["settlement"] for row in settled] == ["ack", "ack", "reject_drop"]


def test_a_settlement_by_the_workers_process_is_in_the_messages_trace(told: Told) -> None:
    if not told.children:
        pytest.skip("one process handles and settles")
    (run_,) = told.of("late")
    (settled,) = (
        s for s in told.spans
        if s.attributes.get("messaging.operation.type") == "settle" and s.trace_id == run_.trace_id
    )  # fmt: skip
    assert (settled.name, settled.pid, settled.links) == ("ack celery", told.worker, ())
    assert run_.pid != told.worker


def test_a_child_that_dies_leaves_its_task_to_the_worker_to_tell(told: Told) -> None:
    if not told.children:
        pytest.skip("no children")
    (died,) = told.of("die")
    assert (died.pid, died.status) == (told.worker, ERROR)
    assert died.attributes["error.type"] == "WorkerLostError"


def test_what_workers_say_among_themselves_is_left_alone(told: Told) -> None:
    names = [span.name for span in told.spans]
    assert not [name for name in names if "celeryev" in name or "pidbox" in name]
    topology = [str(s.attributes.get("strayline.topology")) for s in told.reports]
    assert not [said for said in topology if "celeryev" in said or "pidbox" in said]
    runner = Runner(told.store)
    runner.settle()
    assert not runner.failures
    # what waits for its time is overtaken, which nobody minds
    found = told.rows("SELECT kind, severity, cause, count FROM findings WHERE kind <> 'reordered'")
    rejected = {"kind": "lost", "severity": "warning", "cause": "discarded", "count": 2}
    assert found == [rejected]
    assert told.rows("SELECT DISTINCT severity FROM findings WHERE kind = 'reordered'") in (
        [], [{"severity": "info"}],
    )  # fmt: skip


def test_uninstrumented_celery_is_as_it_was() -> None:
    def state() -> list[Any]:
        names = ("task_prerun", "task_postrun", "task_received", "task_revoked")
        return [
            celery.app.trace.send_prerun,
            celery.app.trace.send_postrun,
            celery.worker.request.Request.on_failure,
            *(list(getattr(celery.signals, name).receivers) for name in names),
        ]

    strayline.uninstrument()
    before = state()
    strayline.instrument()
    during = state()
    strayline.uninstrument()
    assert not [one for one, other in zip(before, during, strict=True) if one == other]
    assert state() == before


def test_beside_contrib_each_message_has_one_span_of_a_kind(beside_contrib: Told) -> None:
    told = beside_contrib
    found = told.rows(
        "SELECT d.delivery_tag AS tag, d.settlement, count(*) OVER (PARTITION BY d.message) AS times,"
        " p.outcome FROM deliveries d LEFT JOIN publishes p USING (message)"
        " WHERE d.queue = 'celery' ORDER BY tag"
    )
    assert [row["tag"] for row in found] == list(range(1, 14))
    assert {row["times"] for row in found} == {1}
    assert {row["outcome"] for row in found} == {"confirmed"}
    assert None not in {row["settlement"] for row in found}
    published = [s for s in told.spans if s.kind == PRODUCER and s.name in CALLS]
    handled = [
        s
        for s in told.spans
        if s.kind == CONSUMER and s.attributes.get("strayline.queue") == "celery"
    ]
    # contrib ends its span of a task that the sender does not know before that is sent
    (early,) = (s for s in published if s.name == "apply_async/nobody.knows")
    published.remove(early)
    assert "strayline.stamp" not in early.attributes
    assert len(published) == len(found)
    assert len(handled) == len(found) - 3
    assert all("strayline.stamp" in s.attributes for s in (*published, *handled))
    adopted = [s.kind for s in (*published, *handled) if s.scope == CONTRIB]
    assert adopted.count(PRODUCER) >= len(found) - 2
    # all but the first of each child, which begins before a provider is decided
    assert adopted.count(CONSUMER) >= len(handled) - 5
