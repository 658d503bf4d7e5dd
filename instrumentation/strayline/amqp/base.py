"""What a channel is, whichever way its messages go."""

from __future__ import annotations

from typing import Any

from strayline import conventions as c
from strayline import redact
from strayline.amqp import bodies
from strayline.amqp.facts import Broker
from strayline.stamp import stamper


class ChannelBase:
    """Number and epoch of one channel object of a client library, and its broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.in_transaction = False
        self._begin()

    def _begin(self) -> None:
        """Names the channel anew: at first, and in a forked child, whose numbers are its own."""
        self.epoch = stamper.epoch
        self.number = stamper.channel_number()
        self.records_bodies = bodies.asked_for()
        self.redacts = redact.rules() is not None
        self.common: dict[str, Any] = {
            c.MESSAGING_SYSTEM: "rabbitmq",
            c.CHANNEL: self.number,
            c.EPOCH: self.epoch,
            **self.broker.attributes(),
        }
