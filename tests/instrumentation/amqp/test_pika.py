"""pika: the suite on its blocking and asyncio adapters, and what is pika's own."""

from __future__ import annotations

from tests.instrumentation.amqp.drivers.pika_asyncio import AsyncioPika
from tests.instrumentation.amqp.drivers.pika_blocking import BlockingPika
from tests.instrumentation.amqp.suite import AmqpSuite


class TestBlockingPika(AmqpSuite):
    client = BlockingPika()


class TestAsyncioPika(AmqpSuite):
    client = AsyncioPika()
