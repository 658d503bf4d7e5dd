"""kombu."""

from tests.instrumentation.amqp.drivers.kombu import Kombu
from tests.instrumentation.amqp.suite import AmqpSuite


class TestKombu(AmqpSuite):
    client = Kombu()
