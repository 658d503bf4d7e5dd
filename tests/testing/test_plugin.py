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

    def run(test: str, *options: str) -> Outcome:
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
                env={**os.environ, "SHOP_AMQP": vhost, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
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
    strayline.assert_route("order.paid", queue="billing", timeout_s=1)
""",
        "--strayline",
    )
    assert not outcome.passed
    assert "1 of 1 order.paid did not reach billing" in outcome.text
    assert "they went to: audit (1)" in outcome.text


def test_a_message_that_was_never_sent_fails(suite) -> None:
    outcome = suite(
        """
def test_orders(strayline):
    strayline.assert_route("order.created", queue="billing", timeout_s=0.2)
""",
        "--strayline",
    )
    assert "no publish of order.created was seen within 0.2 s" in outcome.text


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
