"""What one pika channel has under way, besides what every AMQP client has."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import Any, Final

from strayline.amqp import Broker, Channel, Delivery, ending
from strayline.current import attach, current, detach, suppressed, with_span
from strayline.guard import survived
from strayline.shims.pika_topology import Item, asked, is_nowait, told

STATE: Final = "_strayline_channel"
CONSENT_S: Final = 5.0
"""A broker that refuses closes the channel at once: silence for so long is consent."""


class Wire(Channel):
    """Kept on the ``pika.channel.Channel``, a BlockingChannel's inner one too."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.confirms = False
        self.consumers: dict[str, tuple[str, bool]] = {}
        """Queue and ``no_ack`` by consumer tag."""
        self.getting: tuple[str, bool, int] | None = None
        """Queue, ``no_ack`` and start in ns of the ``basic.get`` that is under way; pika allows one."""
        self.asked: Item | None = None
        """The change of topology whose answer is to come; pika sends one method at a time."""
        self.doubtful: list[Item] = []
        """Those sent with ``nowait``: the answer to a later method shows that they were taken."""
        self.doubtful_since = 0.0

    def ask(self, method: Any) -> None:
        """A change of topology is being sent."""
        item = asked(method, self.last_queue)
        if not is_nowait(method):
            self.asked = item
        elif item.get("name") != "":  # a name that the broker makes up is never told
            self._remember(item)
            self.doubtful.append(item)
            self.doubtful_since = time.monotonic()

    def answer(self, method: Any) -> None:
        """The broker agreed to it."""
        self.agree()
        item, self.asked = self.asked, None
        if item is not None:
            item = told(item, method)
            self._remember(item)
            self.declared(item)

    def agree(self) -> None:
        """The broker answered a later method, so it has taken all before."""
        if self.doubtful:
            taken, self.doubtful = self.doubtful, []
            for item in taken:
                self.declared(item)

    def believe(self) -> None:
        """The channel goes on: after a while that is consent, for those who never wait for answers."""
        if time.monotonic() - self.doubtful_since >= CONSENT_S:
            self.agree()

    def handle(self, delivery: Delivery, call: Callable[..., Any], *args: Any) -> Any:
        """Calls what handles a delivery, its span current."""
        span = None
        with survived("tracing a handling"):
            if not suppressed(current()):
                span = self.begin_handling(delivery)
        if span is None:
            return call(*args)
        token = attach(with_span(span, delivery.parent))
        failure = None
        try:
            return call(*args)
        except BaseException as error:
            failure = error
            raise
        finally:
            with survived("ending a handling"):
                self.end_handling(delivery, failure)
            detach(token)

    def closed(self) -> None:
        self.asked = None
        self.doubtful = []
        self.consumers = {}
        super().closed()

    def _remember(self, item: Item) -> None:
        if item["kind"] == "queue" and item["action"] != "delete":
            self.last_queue = item["name"]


def wire_of(client: Any) -> Wire:
    """Our record of a ``pika.channel.Channel``, made when first met."""
    found: Wire | None = vars(client).get(STATE)
    if found is None:
        connection = client.connection
        params = getattr(connection, "params", None)
        properties = getattr(connection, "server_properties", None) or {}
        found = Wire(
            Broker(
                name=text(properties.get("cluster_name")),
                vhost=getattr(params, "virtual_host", None),
                host=getattr(params, "host", None),
                port=getattr(params, "port", None),
                frame_max=getattr(params, "frame_max", None) or 131_072,
                is_gone=ending(connection, operator.attrgetter("is_closed")),
            )
        )
        setattr(client, STATE, found)
    return found


def text(value: Any) -> Any:
    """pika takes bytes wherever it takes text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
