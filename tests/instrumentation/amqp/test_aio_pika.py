"""aio-pika: the suite, and what only it does."""

from tests.instrumentation.amqp.drivers.aio_pika import AioPika
from tests.instrumentation.amqp.suite import AmqpSuite


class TestAioPika(AmqpSuite):
    client = AioPika()
