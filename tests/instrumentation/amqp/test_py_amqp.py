"""py-amqp."""

from tests.instrumentation.amqp.drivers.py_amqp import PyAmqp
from tests.instrumentation.amqp.suite import AmqpSuite


class TestPyAmqp(AmqpSuite):
    client = PyAmqp()
