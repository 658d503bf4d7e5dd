"""A collector inside a test's process, and what a test can assert of the messages it saw."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

import strayline
from strayline import provider
from strayline.stamp import stamper
from strayline_collector.commands.reports import RANK, told
from strayline_collector.doors import serve
from strayline_collector.settings import Addresses, CollectorSettings, parse_address
from strayline_collector.untraced import untraced

__tracebackhide__ = True  # a failed assertion is shown in the test, without our lines

START_S: Final = 30.0
TIMEOUT_S: Final = 10.0
"""How long an assertion waits for telemetry that makes it true."""
QUIET_S: Final = 0.5
"""No span for so long, and what was sent is taken to be all. Longer than services wait to export."""
EXPORT_DELAY_MS: Final = 100
_POLL_S: Final = 0.05
_FILTERS: Final = ("kind", "severity", "status", "triage", "confidence", "queue", "since")


class Strayline:
    """The fixture. ``otlp_http`` and ``api`` are URLs, for programs that are told by other means
    than ``OTEL_EXPORTER_OTLP_ENDPOINT``, which is set."""

    def __init__(self, otlp_http: str, api: str) -> None:
        self.otlp_http = otlp_http
        self.api = api
        self._client = httpx.Client(base_url=api, timeout=60, trust_env=False)

    def settle(self) -> None:
        """Waits until no more telemetry comes, at most ``TIMEOUT_S``, and has everything judged as
        complete."""
        provider.flush()
        seen, since = -1, time.monotonic()
        deadline = since + TIMEOUT_S
        while time.monotonic() < min(since + QUIET_S, deadline):
            accepted = self._get("/api/v1/status")["ingest"]["accepted_spans"]
            if accepted != seen:
                seen, since = accepted, time.monotonic()
            time.sleep(_POLL_S)
        _answered(self._ask("POST", "/api/v1/detection/settle"))

    def findings(self, **filters: str) -> list[dict[str, Any]]:
        """Settles, and gives the findings with all their messages, as ``GET /api/v1/findings`` does.
        ``filters``: kind, severity, status, triage, confidence, queue, since."""
        if unknown := [name for name in filters if name not in _FILTERS]:
            raise TypeError(f"findings({unknown[0]}=…): expected {', '.join(_FILTERS)}")
        self.settle()
        return self._get("/api/v1/findings", messages="all", limit="1000", **filters)["items"]

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """The rows of one SELECT over the collector's views (``publishes``, ``deliveries`` …)."""
        answer = self._ask("POST", "/api/v1/sql", json={"sql": statement})
        document = _answered(answer)
        names = [column["name"] for column in document["columns"]]
        return [dict(zip(names, row, strict=True)) for row in document["rows"]]

    def assert_no_findings(self, at_least: str = "warning") -> None:
        """Fails with the evidence of every finding of this severity (``info``, ``warning`` or
        ``error``) or a higher one, and where no span came at all."""
        if at_least not in RANK:
            raise ValueError(f"at_least={at_least!r}: expected {', '.join(RANK)}")
        found = [item for item in self.findings() if RANK[item["severity"]] >= RANK[at_least]]
        assert not found, _with_evidence(
            f"1 finding: {found[0]['title']}"
            if len(found) == 1
            else f"{len(found)} findings, first of them: {found[0]['title']}",
            found,
        )
        seen = self._get("/api/v1/status")["ingest"]["accepted_spans"]
        assert seen, f"nothing was judged: {_unseen('span')}"

    def assert_route(
        self, message: str, *, queue: str, exchange: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Every publish with this routing key or AMQP type (and exchange) reached ``queue``, and
        there was at least one."""
        wanted = f"(p.routing_key = {_text(message)} OR p.type = {_text(message)})"
        if exchange is not None:
            wanted += f" AND p.exchange = {_text(exchange)}"
        statement = (
            "SELECT p.message, p.message_id, p.trace_id, d.queue FROM publishes p "
            f"LEFT JOIN deliveries d ON d.message = p.message WHERE {wanted}"
        )
        rows: list[dict[str, Any]] = []

        def routed() -> bool:
            nonlocal rows
            rows = self.sql(statement)
            return bool(rows) and not _astray(rows, queue)

        if not self._holds(routed, timeout_s):
            about = message if exchange is None else f"{message} on {exchange}"
            assert rows, f"no publish of {about} was seen within {timeout_s:g} s\n{self._sent()}"
            assert not (astray := _astray(rows, queue)), _off_route(message, queue, rows, astray)

    def assert_in_order(self, queue: str, *, key: str | None = None) -> None:
        """Messages were handled in ``queue`` in the order in which they were sent: those of one
        publishing channel, or, with ``key``, those sent within ``strayline.ordering_key(key)``.
        Fails when none was handled there."""
        found = self.findings(kind="reordered", queue=queue)
        seen = (
            "SELECT d.message, p.ordering_key FROM deliveries d JOIN publishes p ON p.message = d.message "
            f"WHERE d.queue = {_text(queue)}"
        )
        if key is not None:
            seen += f" AND p.ordering_key = {_text(stamper.hashed(key.encode())[:8])}"
        rows = self.sql(seen)
        about = queue if key is None else f"{queue} with ordering key {key}"
        assert rows, f"no message was seen in {about}\n{self._handled(queue, key)}"
        if key is not None:
            of_key = {row["message"] for row in rows}
            found = [item for item in found if self._concerns(item, of_key)]
        assert not found, _with_evidence(f"messages of {about} were overtaken", found)

    def close(self) -> None:
        self._client.close()

    def _sent(self) -> str:
        rows = self.sql(
            "SELECT exchange, routing_key, type, count(*) AS n FROM publishes "
            "GROUP BY ALL ORDER BY n DESC, exchange, routing_key, type LIMIT 10"
        )
        if not rows:
            return _unseen("publish")
        return "what was sent: " + ", ".join(
            f"{row['routing_key'] or '(no key)'}{' of type ' + row['type'] if row['type'] else ''} "
            f"on {row['exchange'] or '(default)'} ({row['n']})"
            for row in rows
        )

    def _handled(self, queue: str, key: str | None) -> str:
        rows = self.sql(
            "SELECT queue, count(*) AS n FROM deliveries GROUP BY queue ORDER BY n DESC, queue LIMIT 10"
        )
        if key is not None and any(row["queue"] == queue for row in rows):
            return (
                "messages without this key were; only those that this process, or one forked from it, "
                "sends within strayline.ordering_key can be told by their key"
            )
        if not rows:
            return _unseen("delivery")
        return "where messages were handled: " + ", ".join(
            f"{row['queue']} ({row['n']})" for row in rows
        )

    def _concerns(self, item: dict[str, Any], messages: set[Any]) -> bool:
        spans = [
            f"(trace_id = {_text(m['trace_id'])} AND span_id = {_text(m['producer_span_id'])})"
            for m in item["messages"]
            if m["role"] == "late" and m["producer_span_id"]
        ]
        if not spans:
            return False
        rows = self.sql(f"SELECT message FROM publishes WHERE {' OR '.join(spans)}")
        return any(row["message"] in messages for row in rows)

    def _holds(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while True:
            provider.flush()
            if condition():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)

    def _get(self, path: str, **params: str) -> Any:
        return _answered(self._ask("GET", path, params=params))

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        with untraced():
            return self._client.request(method, path, **more)


@contextmanager
def watching(
    contracts: Sequence[Path], set_variable: Callable[[str, str], None]
) -> Generator[Strayline]:
    """Runs a collector on a thread and instruments this process towards it, until the block ends.
    ``set_variable`` sets an environment variable, and whoever gave it takes it back."""
    with _collector(contracts) as addresses, provider.alone():
        endpoint = f"http://{addresses.otlp_http}"
        for name, value in _variables(endpoint).items():
            set_variable(name, value)
        strayline.instrument()
        found = Strayline(endpoint, f"http://{addresses.api}")
        try:
            yield found
        finally:
            found.close()
            strayline.uninstrument()


def _variables(endpoint: str) -> dict[str, str]:
    """What sends every span here, whatever a build's environment says of a service's usual collector;
    and nothing here of what this process declared in earlier tests, which it may tell again any time."""
    return {
        "OTEL_SDK_DISABLED": "false",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_BSP_SCHEDULE_DELAY": str(EXPORT_DELAY_MS),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": "",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "",
        "STRAYLINE_TOPOLOGY_INTERVAL": "0",
    }


@contextmanager
def _collector(contracts: Sequence[Path]) -> Generator[Addresses]:
    free = parse_address("127.0.0.1:0", "a test's collector")
    settings = CollectorSettings(
        db=":memory:", contracts=tuple(contracts), otlp_http=free, otlp_grpc=free, api=free
    )
    started = threading.Event()
    bound: list[Addresses] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def ready(addresses: Addresses) -> None:
        bound.append(addresses)
        started.set()

    def run() -> None:
        try:
            loop.run_until_complete(serve(settings, on_ready=ready, stop=stop))
        except BaseException as error:  # noqa: BLE001 - told where the test waits
            failed.append(error)
        finally:
            loop.close()
            started.set()

    thread = threading.Thread(target=run, name="strayline-collector", daemon=True)
    thread.start()
    if not started.wait(START_S):
        raise TimeoutError(f"the collector did not start within {START_S:.0f} s")
    if failed:
        raise failed[0]
    try:
        yield bound[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join()


def _answered(answer: httpx.Response) -> Any:
    if answer.status_code != 200:
        raise ValueError(answer.json().get("detail", answer.text))
    return answer.json()


def _with_evidence(headline: str, found: list[dict[str, Any]]) -> str:
    return f"{headline}\n\n" + "\n".join(map(told, found))


def _unseen(what: str) -> str:
    """Why there may be none."""
    if not provider.is_own():
        return (
            f"no {what} was seen; this process sends its spans by a tracer provider that it set itself while the test "
            "ran: set it before, or have it export to strayline.otlp_http"
        )
    return (
        f"no {what} was seen; a program that the test starts sends here when it imports strayline.auto or is "
        "started by strayline run, with this environment"
    )


def _astray(rows: list[dict[str, Any]], queue: str) -> list[dict[str, Any]]:
    """A row of each message that was not delivered in ``queue``."""
    reached = {row["message"] for row in rows if row["queue"] == queue}
    return list({r["message"]: r for r in rows if r["message"] not in reached}.values())


def _off_route(
    message: str, queue: str, rows: list[dict[str, Any]], astray: list[dict[str, Any]]
) -> str:
    went = Counter(row["queue"] or "no queue that was seen" for row in rows)
    total = len({row["message"] for row in rows})
    lines = [
        f"{len(astray)} of {total} {message} did not reach {queue}",
        "they went to: " + ", ".join(f"{name} ({count})" for name, count in went.most_common()),
    ]
    lines += [f"  message_id={m['message_id']} trace_id={m['trace_id']}" for m in astray[:10]]
    return "\n".join(lines)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
