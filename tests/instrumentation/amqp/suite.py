"""The one suite that every AMQP client runs::

class TestPika(AmqpSuite):
    client = Pika()
"""

from __future__ import annotations

import pytest

from tests.instrumentation.amqp.behaviour.harmless import Harmless
from tests.instrumentation.amqp.behaviour.outcomes import Outcomes
from tests.instrumentation.amqp.behaviour.receiving import Receiving
from tests.instrumentation.amqp.behaviour.sending import Sending
from tests.instrumentation.amqp.behaviour.settling import Settling
from tests.instrumentation.amqp.behaviour.topology import Topology


@pytest.mark.broker
class AmqpSuite(Sending, Outcomes, Receiving, Settling, Topology, Harmless):
    """Everything that holds whatever the library."""
