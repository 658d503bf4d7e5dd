"""Our record of an aiormq channel, and what aiormq says of a message."""

from __future__ import annotations

import functools
import operator
from typing import Any, Final

from strayline.amqp import Arrival, Broker, Channel, ending
from strayline.guard import survived

STATE: Final = "_strayline_channel"


def channel_of(client: Any) -> Channel:
    """The record of a channel object, made when first met. A robust reconnect opens a new object."""
    found: Channel | None = client.__dict__.get(STATE)
    if found is None:
        found = Channel(_broker(client.connection))
        setattr(client, STATE, found)
        closing = getattr(client, "_closing", None) or client.closing  # aiormq 6
        closing.add_done_callback(functools.partial(_closed, found))
    return found


def arrival(message: Any, queue: str, no_ack: bool) -> Arrival:
    """What a delivery, or the answer to a ``basic.get``, says."""
    delivery, properties = message.delivery, message.header.properties
    return Arrival(
        queue,
        delivery.exchange or "",
        delivery.routing_key or "",
        properties.headers or {},
        delivery.delivery_tag,
        getattr(delivery, "consumer_tag", None),
        delivery.redelivered,
        no_ack,
        message.body or b"",
        properties.message_id,
        properties.correlation_id,
        properties.priority,
        properties.content_type,
    )


def _broker(connection: Any) -> Broker:
    name = (getattr(connection, "server_properties", None) or {}).get("cluster_name")
    url = getattr(connection, "url", None)
    tuned = getattr(connection, "connection_tune", None)
    return Broker(
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else name,
        vhost=getattr(connection, "vhost", None),
        host=getattr(url, "host", None),
        port=getattr(url, "port", None),
        frame_max=getattr(tuned, "frame_max", None) or 131_072,
        is_gone=ending(connection, operator.attrgetter("is_closed")),
    )


def _closed(channel: Channel, _: Any) -> None:
    with survived("closing a channel"):
        channel.closed()
