"""The demo: broker, services, collector, dashboard, traffic. ``--once`` compares what was
injected with what was found and says whether they agree."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from demo_services.broker import Broker, BrokerError, running_broker
from demo_services.faults import KINDS, Faults, FaultsError
from demo_services.oracle import unsettled
from demo_services.processes import DemoError, Process, free_address, read_logs, stop_all
from demo_services.scenarios import STALE, Kind, expected, reported, routes
from demo_services.watch import Part, blame, interruptible, run_watched

FEWEST_ORDERS: Final = 100
"""Fewer leave the outlier rule without the population that it needs."""
SERVICES: Final = ("inventory", "notifications", "shipping", "billing", "orders", "gateway")
"""In the order in which they start: consumers before those who send to them."""
WORKERS: Final = 6
DRAIN_S: Final = 120.0

__all__ = ["BrokerError", "DemoError", "FaultsError", "forever", "once"]


@dataclass(slots=True)
class Shop:
    """A running demo without its collector."""

    gateway: str
    faults: Faults
    directory: Path
    services: list[Process]

    def order(self, number: int) -> None:
        """Places one order through the front door."""
        body = {"number": number, "customer": f"customer-{number % 50}", "quantity": 1 + number % 5}
        try:
            answer = httpx.post(f"{self.gateway}/orders", json=body, timeout=60)
        except httpx.HTTPError as error:
            blame(self.services)
            raise DemoError(
                f"order {number} was not answered: {error or type(error).__name__}"
            ) from None
        if answer.status_code != 201:
            blame(self.services)
            raise DemoError(
                f"order {number} was answered with HTTP {answer.status_code}: {answer.text[:300]}"
            )

    def check(self) -> None:
        for service in self.services:
            service.check()

    def drain(self) -> None:
        """Returns when every message has been handled to its end, by the services' own logs."""
        deadline = time.monotonic() + DRAIN_S
        while left := unsettled(read_logs(self.directory), routes(self.faults)):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{left} messages were not handled within {DRAIN_S:.0f} s")
            time.sleep(0.1)

    def restart(self, name: str) -> None:
        """Ends a service as a deploy does, and starts it again."""
        place = next(i for i, service in enumerate(self.services) if service.name == name)
        stop_all([self.services[place]])
        self.services[place] = self.services[place].again()
        self.services[place].first_line()

    def stop(self) -> None:
        stop_all(self.services)


@contextmanager
def running_shop(
    broker: Broker, amqp_url: str, otlp_http: str, faults: Faults, directory: Path
) -> Generator[Shop]:
    """Starts every service, instrumented and sending to ``otlp_http`` (host and port)."""
    orders, gateway = free_address(), free_address()
    environment = {
        "AMQP_URL": amqp_url,
        "ORDERS_ADDRESS": orders,
        "GATEWAY_ADDRESS": gateway,
        "GATEWAY_URL": f"http://{gateway}",
        "DEMO_FAULTS": str(faults),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp_http}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    services: list[Process] = []
    try:
        for name in SERVICES:
            truth = str(directory / f"{name}.truth")
            own = {**environment, "OTEL_SERVICE_NAME": name, "DEMO_TRUTH": truth}
            services.append(Process(name, [f"demo_services.{name}"], own, directory))
        for service in services:
            service.first_line()
        if faults.stale_binding:
            _leave_binding(broker, amqp_url)
        yield Shop(f"http://{gateway}", faults, directory, services)
    finally:
        stop_all(services)


def _leave_binding(broker: Broker, amqp_url: str) -> None:
    """What an earlier release of shipping bound and nobody removed."""
    exchange, key, queue = STALE
    vhost = amqp_url.rsplit("/", 1)[1] or "%2F"
    broker.api(
        "POST", f"/bindings/{vhost}/e/{exchange}/q/{queue}", {"routing_key": key, "arguments": {}}
    )


@contextmanager
def running_collector(
    directory: Path, *, api: str = "127.0.0.1:0", db: str | None = None
) -> Generator[dict[str, str]]:
    """A collector as a child; yields its addresses by name."""
    with _collector(directory, api, db) as (doors, _):
        yield doors


@contextmanager
def _collector(
    directory: Path, api: str, db: str | None = None
) -> Generator[tuple[dict[str, str], Process]]:
    arguments = [
        "strayline_collector", "collector", "--db", db or str(directory / "demo.duckdb"),
        "--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", api, "--addresses-json",
    ]  # fmt: skip
    process = Process("collector", arguments, {}, directory)
    try:
        yield json.loads(process.first_line()), process
    finally:
        stop_all([process])


def once(orders: int, faults: str) -> int:
    """Runs ``orders`` orders, compares, prints; 0 when injected and found agree, else 1."""
    chosen = Faults.parse(faults)
    if orders < FEWEST_ORDERS:
        raise DemoError(
            f"--orders {orders}: --once needs at least {FEWEST_ORDERS}, the outlier rule judges populations"
        )
    with (
        interruptible(),
        tempfile.TemporaryDirectory(prefix="strayline-demo-") as name,
    ):
        directory = Path(name)
        _say("starting the broker")
        with (
            running_broker() as broker,
            broker.vhost() as amqp_url,
            _collector(directory, "127.0.0.1:0") as (doors, collector),
        ):
            _say("starting the services")
            with running_shop(broker, amqp_url, doors["otlp_http"], chosen, directory) as shop:
                parts: list[Part] = [broker, collector, *shop.services]
                run_watched(lambda: _drive(shop, orders), parts)
                _say("waiting until every message is handled")
                run_watched(shop.drain, parts)
                shop.stop()  # the services send what they still hold when they end
            _say("judging")
            found = _findings(f"http://{doors['api']}", [collector])
            wanted = expected(read_logs(directory))
    return _compare(wanted, found, chosen)


def forever(orders: int | None, faults: str, ui: str, api: str) -> int:
    """Everything with the dashboard, until interrupted or until a part of it dies, which raises
    ``DemoError`` or ``BrokerError``; ``orders`` limits the traffic."""
    chosen = Faults.parse(faults)
    try:
        with (
            interruptible(),
            tempfile.TemporaryDirectory(prefix="strayline-demo-") as name,
        ):
            _serve(Path(name), orders, chosen, ui, api)
    except KeyboardInterrupt:
        _say("stopped")
    return 0


def _serve(directory: Path, orders: int | None, chosen: Faults, ui: str, api: str) -> None:
    _say("starting the broker")
    with (
        running_broker() as broker,
        broker.vhost() as amqp_url,
        _collector(directory, api) as (doors, collector),
    ):
        _say("starting the services")
        with running_shop(broker, amqp_url, doors["otlp_http"], chosen, directory) as shop:
            dashboard = Process(
                "dashboard",
                ["strayline_dashboard", "--api", f"http://{doors['api']}", "--ui", ui],
                {"STRAYLINE_DEMO_SHOP": shop.gateway},
                directory,
            )
            try:
                sys.stdout.write(f"{dashboard.first_line()}\napi        http://{doors['api']}\n")
                sys.stdout.write(f"faults     {chosen}\nCtrl-C stops everything.\n")
                sys.stdout.flush()
                parts: list[Part] = [broker, collector, *shop.services, dashboard]
                run_watched(lambda: _keep_ordering(shop, orders), parts)
            finally:
                _say("stopping")
                stop_all([dashboard])


def _drive(shop: Shop, orders: int) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for done, _ in enumerate(pool.map(shop.order, range(1, orders + 1)), start=1):
            if done % max(1, orders // 10) == 0 or done == orders:
                _say(f"{done} of {orders} orders placed")


def _keep_ordering(shop: Shop, orders: int | None) -> None:
    number = 0
    while True:
        if orders is None or number < orders:
            number += 1
            shop.order(number)
        time.sleep(0.15)


def _findings(api: str, parts: Sequence[Part]) -> list[dict[str, Any]]:
    try:
        httpx.post(f"{api}/api/v1/detection/settle", timeout=300).raise_for_status()
        answer = httpx.get(
            f"{api}/api/v1/findings", params={"messages": "all", "limit": 1000}, timeout=300
        )
        return answer.raise_for_status().json()["items"]
    except httpx.HTTPError as error:
        blame(parts)
        raise DemoError(f"the collector did not judge: {error or type(error).__name__}") from None


def _compare(wanted: dict[Kind, set[str]], found: list[dict[str, Any]], faults: Faults) -> int:
    told = reported(found)
    agree = True
    sys.stdout.write(f"\n{'':2}{'what':62}{'injected':>9}{'found':>7}\n")
    for kind in sorted(wanted.keys() | told.keys()):
        injected, seen = wanted.get(kind, set()), told.get(kind, set())
        agree = agree and injected == seen
        mark = "✓" if injected == seen else "✗"
        sys.stdout.write(f"{mark:2}{kind!s:62}{len(injected):>9}{len(seen):>7}\n")
        for text, messages in (("missed", injected - seen), ("not injected", seen - injected)):
            if messages:
                sys.stdout.write(f"    {text}: {', '.join(sorted(messages)[:5])}\n")
    loud = [f for f in found if f["severity"] != "info"]
    if not faults.kinds and loud:
        agree = False
        sys.stdout.write(
            "✗ nothing was injected, yet: " + "; ".join(f["title"] for f in loud) + "\n"
        )
    for name in sorted(faults.kinds):
        sys.stdout.write(f"  {name}: {KINDS[name]}\n")
    sys.stdout.write("injected and found agree\n" if agree else "injected and found differ\n")
    return 0 if agree else 1


def _say(text: str) -> None:
    sys.stderr.write(f"· {text}\n")
    sys.stderr.flush()
