"""FastStream: the suite, and its own telemetry beside ours."""

from tests.instrumentation.amqp.drivers.faststream import FastStream
from tests.instrumentation.amqp.suite import AmqpSuite


class TestFastStream(AmqpSuite):
    client = FastStream()
