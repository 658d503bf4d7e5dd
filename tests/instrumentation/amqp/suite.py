"""The one suite that every AMQP client runs::

class TestPika(AmqpSuite):
    client = Pika()
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.instrumentation.amqp.behaviour.conventions import broken_rules
from tests.instrumentation.amqp.behaviour.harmless import Harmless
from tests.instrumentation.amqp.behaviour.outcomes import Outcomes
from tests.instrumentation.amqp.behaviour.receiving import Receiving
from tests.instrumentation.amqp.behaviour.sending import Sending
from tests.instrumentation.amqp.behaviour.settling import Settling
from tests.instrumentation.amqp.behaviour.shapes import Shapes
from tests.instrumentation.amqp.behaviour.topology import Topology
from tests.instrumentation.conftest import Spans


@pytest.mark.broker
class AmqpSuite(Sending, Outcomes, Receiving, Settling, Topology, Harmless, Shapes):
    """Everything that holds whatever the library."""

    @pytest.fixture(autouse=True)
    def conventions(self, spans: Spans) -> Iterator[None]:
        """Every span that a test of the suite has made keeps the semantic conventions."""
        yield
        made = spans(messaging__system="rabbitmq")
        assert [broken for span in made for broken in broken_rules(span)] == []
