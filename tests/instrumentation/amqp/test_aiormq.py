"""Bare aiormq."""

from tests.instrumentation.amqp.drivers.aiormq import Aiormq
from tests.instrumentation.amqp.suite import AmqpSuite


class TestAiormq(AmqpSuite):
    client = Aiormq()
