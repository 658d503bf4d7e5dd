"""What py-amqp's shim keeps of each channel, and what it leaves alone."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN

from strayline.amqp import Broker, Channel, Delivery, Sending, ending
from strayline.amqp.consuming import Consuming

KEY: Final = "_strayline_channel"

CELERY_EVENTS: Final = "celeryev"
MAILBOX: Final = ".pidbox"
LEFT_ALONE: Final = (CELERY_EVENTS, MAILBOX)
"""Exchanges and queues by which Celery's workers talk among themselves: events, heartbeats and
gossip (``celeryev``, ``celeryev.<uuid>``), remote control and its replies (``celery.pidbox``,
``reply.celery.pidbox``, ``<node>.celery.pidbox``). A worker sends some every two seconds, nobody's
work hangs on them, and most go nowhere: neither traced nor stamped nor reported."""


def is_left_alone(name: str) -> bool:
    """Whether an exchange or queue is Celery's own."""
    return name == CELERY_EVENTS or name.endswith(MAILBOX) or name.startswith(CELERY_EVENTS + ".")


class Record(Channel):
    """One channel, with what this client alone has."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.confirms = False
        self.waiting: Sending | None = None
        """The publish whose confirm ``basic_publish_confirm`` waits for."""
        self.held: dict[int, Held] = {}

    def untold(self) -> Sending:
        """A publish that is not told, but numbered by the broker like all that a confirming
        channel sends."""
        return Sending(self, INVALID_SPAN, {}, owned=False, reply=False)

    def give_up(self, error: BaseException) -> None:
        """Nobody waits any more; the confirm may still come."""
        sending, self.waiting = self.waiting, None
        if sending is None:
            return
        pending = self._confirming or {}
        for tag in [tag for tag, each in pending.items() if each is sending]:
            pending[tag] = self.untold()
        sending.ended("unknown", error)


class Held:
    """A delivery that came in by a callback which only keeps it: its handling begins later, in
    another thread or process perhaps, or never.

    Pickled, as Celery's prefork pool does with a request, it is the facts alone; the process that
    handles the message tells them with its own span."""

    __slots__ = ("delivery", "handed_over", "left", "record", "token")

    def __init__(self, record: Consuming | None, delivery: Delivery) -> None:
        self.record = record
        self.delivery = delivery
        self.handed_over = False
        """Somebody who will handle it has it."""
        self.left = False
        """That is another process."""
        self.token: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        self.left = True
        return _arrived, (self.delivery.facts, self.delivery.received_ns)


def _arrived(attributes: dict[str, Any], received_ns: int) -> Held:
    held = Held(None, Delivery.from_facts(attributes, Context(), received_ns))
    held.handed_over = True
    return held


def record_of(client: Any) -> Record:
    """Our record of a channel object, made when first met."""
    found: Record | None = client.__dict__.get(KEY)
    if found is None:
        connection = client.connection
        name = connection.server_properties.get("cluster_name")
        transport = getattr(connection, "_transport", None)  # ``transport`` would connect
        found = Record(
            Broker(
                name=name.decode("utf-8", "replace") if isinstance(name, bytes) else name,
                vhost=connection.virtual_host,
                host=getattr(transport, "host", None),
                port=getattr(transport, "port", None),
                frame_max=connection.frame_max or 131_072,
                is_gone=ending(connection, lambda alive: not alive.connected),
            )
        )
        client.__dict__[KEY] = found
    return found


def known(client: Any) -> Record | None:
    """Our record of a channel object, if there is one."""
    return client.__dict__.get(KEY)


def forget(client: Any) -> None:
    """The channel is closed, or opened anew under the broker's own numbers."""
    found: Record | None = client.__dict__.pop(KEY, None)
    if found is not None:
        found.closed()
