"""``pytest --strayline`` as a user's suite has it: a pytest of its own, messages on a real broker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = '''
import asyncio, os
import aio_pika
import strayline as api

async def shop(work):
    connection = await aio_pika.connect(os.environ["SHOP_AMQP"])
    async with connection:
        channel = await connection.channel()
        orders = await channel.declare_exchange("orders", "topic")
        for queue, key in (("billing", "order.created"), ("audit", "order.*")):
            await (await channel.declare_queue(queue)).bind(orders, key)
        await work(channel, orders)

async def place(orders, key="order.created", body=b"{}"):
    await orders.publish(aio_pika.Message(body), key)

async def handle(channel, queue, count, handler=None):
    """Handles so many messages of a queue."""
    seen = []
    done = asyncio.Event()

    async def handled(message):
        if handler is None:
            await message.ack()
        else:
            await handler(message)
        seen.append(message.body)
        if len(seen) == count:
            done.set()

    await (await channel.get_queue(queue)).consume(handled)
    await asyncio.wait_for(done.wait(), 20)
    return seen
'''


class Outcome:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.text = done.stdout + done.stderr
        self.passed = done.returncode == 0


@pytest.fixture
def suite(vhost: str, tmp_path: Path):
    """Runs a test function, given as text, in a pytest of its own."""

    def run(test: str, *options: str, **variables: str) -> Outcome:
        path = tmp_path / "test_shop.py"
        path.write_text(PRELUDE + test)
        return Outcome(
            subprocess.run(
                [
                    *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                    *("-p", "strayline_collector.testing.plugin", *options, str(path)),
                ],
                capture_output=True,
                text=True,
                timeout=120,
                cwd=tmp_path,
                # the option that is tested, however this checkout is installed
                env={
                    **os.environ,
                    "SHOP_AMQP": vhost,
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    **variables,
                },
            )
        )

    return run


def test_what_holds_passes(suite) -> None:
    outcome = suite(
        """
def test_orders(strayline):
    async def work(channel, orders):
        for number in range(3):
            with api.ordering_key("customer-1"):
                await place(orders)
        await handle(channel, "billing", 3)
        await handle(channel, "audit", 3)
    asyncio.run(shop(work))
    strayline.assert_route("order.created", queue="billing")
    strayline.assert_route("order.created", queue="audit", exchange="orders")
    strayline.assert_in_order("billing")
    strayline.assert_in_order("billing", key="customer-1")
    strayline.assert_no_findings()

def test_each_test_has_a_collector_of_its_own(strayline):
    assert strayline.sql("SELECT count(*) AS n FROM publishes") == [{"n": 0}]

def test_asking_is_no_traffic_of_the_test(strayline):
    strayline.findings()
    assert strayline.sql("SELECT count(*) AS n FROM spans") == [{"n": 0}]
""",
        "--strayline",
    )
    assert outcome.passed, outcome.text
    assert "3 passed" in outcome.text


def test_a_message_on_another_way_fails_with_where_it_went(suite) -> None:
    outcome = suite(
        """
def test_orders(strayline):
    async def work(channel, orders):
        await place(orders, "order.paid")
        await handle(channel, "audit", 1)
    asyncio.run(shop(work))
    strayline.settle()  # all of it is there, however slow the machine
    strayline.assert_route("order.paid", queue="billing", timeout_s=1)
""",
        "--strayline",
    )
    assert not outcome.passed
    assert "1 of 1 order.paid did not reach billing" in outcome.text
    assert "they went to: audit (1)" in outcome.text


def test_what_was_not_seen_fails_and_what_was_is_said(suite) -> None:
    outcome = suite(
        """
def test_nothing(strayline):
    strayline.assert_route("order.created", queue="billing", timeout_s=0.2)

def test_nothing_at_all(strayline):
    strayline.assert_no_findings()

def test_something(strayline):
    async def work(channel, orders):
        await place(orders, "order.paid")
        await handle(channel, "audit", 1)
    asyncio.run(shop(work))
    strayline.assert_route("order.paid", queue="audit")
    for asked in (
        lambda: strayline.assert_route("order.made", queue="billing", exchange="orders", timeout_s=0.2),
        lambda: strayline.assert_in_order("audits"),
        lambda: strayline.assert_in_order("audit", key="customer-1"),
        lambda: strayline.assert_no_findings("warn"),
        lambda: strayline.findings(queues="audit"),
        lambda: strayline.findings(severity="fatal"),
    ):
        try:
            asked()
        except Exception as error:
            print(type(error).__name__, error)
    raise SystemError("shown")
""",
        "--strayline",
    )
    assert (
        "E       AssertionError: no publish of order.created was seen within 0.2 s" in outcome.text
    )
    assert "nothing was judged: no span was seen; a program that the test starts" in outcome.text
    assert "no publish of order.made on orders was seen" in outcome.text
    assert "what was sent: order.paid on orders (1)" in outcome.text
    assert "no message was seen in audits\nwhere messages were handled: audit (1)" in outcome.text
    assert "messages without this key were" in outcome.text
    assert "ValueError at_least='warn': expected info, warning, error" in outcome.text
    assert "TypeError findings(queues=…): expected kind, severity" in outcome.text
    assert "ValueError severity" in outcome.text
    assert "watch.py" not in outcome.text, "our own lines help nobody"


def test_a_builds_environment_and_the_applications_own_provider_change_nothing(suite) -> None:
    outcome = suite(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from strayline.settings import topology_interval_s
mine = TracerProvider()
trace.set_tracer_provider(mine)

def test_orders(strayline):
    async def work(channel, orders):
        await place(orders)
        await handle(channel, "billing", 1)
    asyncio.run(shop(work))
    strayline.assert_route("order.created", queue="billing")
    assert topology_interval_s() == 0, "what earlier tests declared is told again"

def test_the_provider_is_put_back():
    assert trace.get_tracer_provider() is mine
""",
        "--strayline",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:1/v1/traces",
        OTEL_TRACES_EXPORTER="none",
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_SDK_DISABLED="true",
        STRAYLINE_TOPOLOGY_INTERVAL="1",
        HTTP_PROXY="http://127.0.0.1:1",
    )
    assert outcome.passed, outcome.text
    assert "2 passed" in outcome.text


def test_a_contract_that_cannot_be_read_stops_the_run_in_one_line(suite, tmp_path: Path) -> None:
    contract = tmp_path / "shop.yaml"
    contract.write_text("asyncapi: 3.0.0\ninfo: [")
    outcome = suite(
        "def test_orders(strayline): ...", "--strayline", "--strayline-contract", str(contract)
    )
    assert f"ERROR: --strayline-contract: {contract}:2: is neither YAML nor JSON" in outcome.text
    assert "Traceback" not in outcome.text


def test_a_requeue_that_overtakes_fails_with_its_evidence(suite) -> None:
    outcome = suite(
        """
def test_orders(strayline):
    async def work(channel, orders):
        for number in range(6):
            await place(orders, body=b"%d" % number)
        returned = []
        async def once(message):
            if message.body == b"2" and not returned:
                returned.append(1)
                await asyncio.sleep(0.2)
                await message.nack(requeue=True)
            else:
                await message.ack()
        await handle(channel, "billing", 7, once)
    asyncio.run(shop(work))
    strayline.assert_in_order("billing")
""",
        "--strayline",
    )
    assert not outcome.passed, outcome.text
    assert "messages of billing were overtaken" in outcome.text
    assert "reordered requeue" in outcome.text
    assert "late" in outcome.text
    assert "deliveries: tag 3 nack_requeue; tag 7 redelivered ack" in outcome.text


def test_without_the_option_tests_that_ask_are_skipped(suite) -> None:
    outcome = suite("def test_orders(strayline):\n    raise AssertionError\n")
    assert outcome.passed
    assert "1 skipped" in outcome.text


def test_every_pytest_loads_the_plugin_and_nothing_of_ours_with_it() -> None:
    program = (
        "import sys; import strayline_collector.testing.plugin; "
        "print([n for n in sys.modules if n.split('.')[0] in ('duckdb', 'pyarrow', 'strayline', 'httpx', 'grpc')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
