"""The topology as a real management API tells it, and what is then known of it."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import aiormq
import pytest
from pamqp.commands import Basic

from demo_services.broker import Broker
from strayline_collector.errors import UsageError
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Row
from strayline_collector.tap.levels import Levels
from strayline_collector.tap.topology import (
    Told,
    TopologyTap,
    document_of,
    keep,
    look,
    parse_management_url,
)
from tests.detect.test_routes_judged import offenders, run_service
from tests.support.certificates import authority, signed
from tests.support.collector import RunningCollector, collector_command, running_collector


def url_of(broker: Broker, password: str | None = None) -> str:
    return broker.management.replace(
        "://", f"://{quote(broker.user)}:{quote(password or broker.password)}@"
    )


def until(ask: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true answer of ``ask``; fails when none comes."""
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def standing(collector: RunningCollector, vhost: str, kind: str) -> list[dict[str, Any]]:
    return [
        x
        for x in collector.get("/api/v1/topology")[kind]
        if x["vhost"] == vhost and x["told_by"] == "management" and x["possibly_to"] is None
    ]


@pytest.mark.broker
def test_what_the_broker_has_is_known_with_its_history(vhost: str, broker: Broker) -> None:
    name = vhost.rsplit("/", 1)[1]

    async def declare() -> None:
        connection = await aiormq.connect(vhost)
        channel = await connection.channel()
        await channel.exchange_declare(
            "events", exchange_type="topic", arguments={"alternate-exchange": "rest"}
        )
        await channel.queue_declare("billing", durable=True, arguments={"x-max-length": 5})
        await channel.queue_bind("billing", "events", "order.#")
        await connection.close()

    asyncio.run(declare())
    broker.api("PUT", f"/policies/{name}/retry", {"pattern": "^billing$", "definition": {"dead-letter-exchange": "dlx"},
                                                  "priority": 3, "apply-to": "queues"})  # fmt: skip
    with running_collector(rabbitmq_api=[url_of(broker)], topology_every_s=0.3) as collector:
        (binding,) = until(lambda: standing(collector, name, "bindings"))
        (queue,) = standing(collector, name, "queues")
        (policy,) = standing(collector, name, "policies")
        exchanges = {e["name"]: e for e in standing(collector, name, "exchanges")}
        broker.api("DELETE", f"/bindings/{name}/e/events/q/billing/order.%23")
        until(lambda: not standing(collector, name, "bindings"))
        (gone,) = [b for b in collector.get("/api/v1/topology")["bindings"] if b["vhost"] == name]
    assert (binding["source"], binding["destination"], binding["routing_key"]) == (
        "events",
        "billing",
        "order.#",
    )
    assert (binding["role"], binding["complete"], binding["possibly_from"]) == (
        "actual",
        True,
        None,
    )
    assert queue["arguments"] == {"x-max-length": 5}
    assert exchanges["events"]["arguments"] == {"alternate-exchange": "rest"}
    assert policy["definition"] == {"dead-letter-exchange": "dlx"}
    assert (policy["pattern"], policy["priority"], policy["apply_to"]) == ("^billing$", 3, "queues")
    assert gone["surely_from"] <= gone["surely_to"] < gone["possibly_to"]


@pytest.mark.broker
def test_it_is_asked_soon_after_a_service_declared_something(vhost: str, broker: Broker) -> None:
    name = vhost.rsplit("/", 1)[1]
    with running_collector(rabbitmq_api=[url_of(broker)], topology_every_s=3600.0) as collector:
        until(lambda: standing(collector, name, "exchanges"))
        run_service(
            collector,
            vhost,
            "billing",
            {"exchange": "events", "queue": "billing", "bind": ["order.paid"]},
        )
        until(lambda: standing(collector, name, "bindings"))


@pytest.mark.broker
def test_what_leads_nowhere_by_it_is_unroutable_and_its_twin_is_not(
    vhost: str, broker: Broker
) -> None:
    """Published without `mandatory`, so that nothing but the topology can tell."""
    with running_collector(rabbitmq_api=[url_of(broker)], topology_every_s=0.5) as collector:
        declare = {"exchange": "events", "queue": "billing", "bind": ["order.paid"]}
        run_service(collector, vhost, "billing", declare)
        name = vhost.rsplit("/", 1)[1]
        until(lambda: standing(collector, name, "bindings"))
        time.sleep(1.2)  # a second is the margin between two clocks
        plan = {"exchange": "events", "publish": [["order.piad", 2], ["order.paid", 2]]}
        sent = run_service(collector, vhost, "orders", {**plan, "mandatory": False})
        run_service(collector, vhost, "billing", {**declare, "consume": 2})

        def found() -> list[dict[str, Any]]:
            collector.settle()
            return collector.findings()

        (finding,) = until(found)
    assert (finding["kind"], finding["subject"]["routing_key"]) == ("unroutable", "order.piad")
    assert finding["confidence"] == "proven"
    assert offenders(finding) == set(sent["order.piad"])


@pytest.mark.broker
def test_where_queues_come_and_go_not_having_seen_one_proves_nothing(
    vhost: str, broker: Broker
) -> None:
    async def come_and_go() -> None:
        connection = await aiormq.connect(vhost)
        channel = await connection.channel()
        await channel.queue_declare("", exclusive=True, auto_delete=True)
        await channel.basic_publish(b"", routing_key="x", properties=Basic.Properties())
        await asyncio.sleep(1.5)
        await connection.close()

    with running_collector(rabbitmq_api=[url_of(broker)], topology_every_s=0.5) as collector:
        asyncio.run(come_and_go())
        run_service(
            collector,
            vhost,
            "orders",
            {"exchange": "events", "publish": [["order.piad", 2]], "mandatory": False},
        )
        time.sleep(1.5)
        collector.settle()
        assert collector.findings() == []


class _Management(BaseHTTPRequestHandler):
    """A management API of canned answers, in two states."""

    answers: dict[str, Any]
    status = 200

    def do_GET(self) -> None:
        body = json.dumps(self.answers.get(self.path.split("?")[0].rsplit("/", 1)[1], [])).encode()
        self.send_response(self.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def management() -> Any:
    handler = type(
        "Handler", (_Management,), {"answers": {"overview": {"cluster_name": "rabbit@shop"}}}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://user:s3cret@127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def queues(store: DuckDBStore) -> list[Row]:
    with store.read() as session:
        return session.rows("SELECT * FROM topology WHERE kind = 'queue' ORDER BY surely_from")


def test_an_outage_is_survived_said_once_and_without_the_password(
    management: Any, store: DuckDBStore, caplog: pytest.LogCaptureFixture
) -> None:
    handler, url = management
    handler.answers["queues"] = [{"name": "q", "vhost": "/", "arguments": {}}]
    tap = TopologyTap(store, parse_management_url(url), every_s=0.05)
    with caplog.at_level(logging.DEBUG):
        tap.start()
        until(lambda: queues(store))
        handler.status = 500
        until(lambda: tap.problem)
        before = queues(store)
        handler.status = 200
        until(lambda: tap.problem is None)
        tap.stop()
    (after,) = queues(store)
    assert [q["surely_from"] for q in before] == [after["surely_from"]]  # nothing was concluded
    said = [r.getMessage() for r in caplog.records if r.name.endswith("tap.topology")]
    assert len([text for text in said if "HTTP 500" in text]) == 1
    assert "s3cret" not in caplog.text


def test_a_thing_that_went_and_came_back_held_twice_and_bounds_are_the_neighbouring_looks(
    management: Any, store: DuckDBStore
) -> None:
    import httpx

    handler, url = management
    place = parse_management_url(url)
    looks = []
    document = document_of(place.url)
    with httpx.Client() as client:
        for there in (True, False, True):
            handler.answers["queues"] = [{"name": "q", "vhost": "/"}] if there else []
            looks.append(look(client, place.url))
            keep(store, document, looks[-1], Told(), Levels(document))
    first, second = queues(store)
    assert first["possibly_from"] is None
    assert first["surely_from"] == first["surely_to"] == looks[0].ended_ns
    assert first["possibly_to"] == looks[1].ended_ns
    assert second["possibly_from"] == looks[1].started_ns
    assert second["surely_from"] == looks[2].ended_ns
    assert second["possibly_to"] is None
    assert second["broker"] == "rabbit@shop"


def test_https_is_verified_against_the_authorities_that_are_trusted(
    management: Any, store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, _ = management
    handler.answers["queues"] = [{"name": "q", "vhost": "/"}]
    ours = authority(tmp_path, "ours")
    pair = signed(ours, tmp_path, "server")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    url = parse_management_url(f"https://user:s3cret@127.0.0.1:{server.server_address[1]}")
    try:
        stranger = TopologyTap(store, url, every_s=0.05)
        stranger.start()
        assert "does not answer" in until(lambda: stranger.problem)
        stranger.stop()
        assert queues(store) == []
        monkeypatch.setenv("SSL_CERT_FILE", str(ours.cert))
        trusted = TopologyTap(store, url, every_s=0.05)
        trusted.start()
        until(lambda: queues(store))
        trusted.stop()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("text", ["", "rabbit:15672", "amqp://u:s3cret@h", "http://u:s3cret@h:x"])
def test_what_is_no_address_is_refused_without_repeating_a_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_management_url(text)
    assert "s3cret" not in str(caught.value)


def test_several_are_taken_from_the_environment(management: Any) -> None:
    _, url = management
    with collector_command(STRAYLINE_RABBITMQ_API=f"{url}:{url}/other") as collector:
        until(lambda: collector.get("/api/v1/topology") is not None)
