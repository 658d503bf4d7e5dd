"""What every AMQP client's shim shares: stamps, span shapes, deliveries and their settlement.

A shim finds its client's choke points and calls in here; nothing in this package knows a client
library, and nothing outside it needs more than the names below.
"""

from __future__ import annotations

from strayline.amqp.channel import Channel, open_channels
from strayline.amqp.consuming import Delivery
from strayline.amqp.facts import Arrival, Broker, Publish, ending
from strayline.amqp.publishing import Sending

__all__ = [
    "Arrival",
    "Broker",
    "Channel",
    "Delivery",
    "Publish",
    "Sending",
    "ending",
    "open_channels",
]
