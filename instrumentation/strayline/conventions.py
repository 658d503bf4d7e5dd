"""Every attribute, header and span name that Strayline writes or reads, named once.

The instrumentation writes them, the collector reads them: this module is the contract
between the two and depends on nothing. Standard names follow the OpenTelemetry semantic
conventions 1.44; ``STRAYLINE_*`` names are our own and all optional to readers.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "strayline"
"""Instrumentation scope name of every span that a Strayline shim makes (``strayline.<shim>``)."""

STAMP_HEADER: Final = "x-strayline"
"""AMQP header that carries the stamp."""

# OpenTelemetry semantic conventions 1.44
SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
HOST_NAME: Final = "host.name"
HOST_ID: Final = "host.id"
PROCESS_PID: Final = "process.pid"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_DESTINATION_NAME: Final = "messaging.destination.name"
MESSAGING_DESTINATION_ANONYMOUS: Final = "messaging.destination.anonymous"
MESSAGING_DESTINATION_TEMPORARY: Final = "messaging.destination.temporary"
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"
MESSAGING_ROUTING_KEY: Final = "messaging.rabbitmq.destination.routing_key"
MESSAGING_DELIVERY_TAG: Final = "messaging.rabbitmq.message.delivery_tag"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_CONVERSATION_ID: Final = "messaging.message.conversation_id"
MESSAGING_BODY_SIZE: Final = "messaging.message.body.size"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"

# Strayline's own, on publish, process, receive and settle spans
STAMP: Final = "strayline.stamp"
BROKER: Final = "strayline.broker"
VHOST: Final = "strayline.vhost"
EXCHANGE: Final = "strayline.exchange"
QUEUE: Final = "strayline.queue"
CHANNEL: Final = "strayline.channel"
CONSUMER_TAG: Final = "strayline.consumer_tag"
REDELIVERED: Final = "strayline.redelivered"
DELIVERY_COUNT: Final = "strayline.delivery_count"
DEATH: Final = "strayline.death"
"""String array, one ``queue|reason|count|exchange|key`` per ``x-death`` entry, newest first."""
PRIORITY: Final = "strayline.priority"
EXPIRATION_MS: Final = "strayline.expiration_ms"
DELAY_MS: Final = "strayline.delay_ms"
MANDATORY: Final = "strayline.mandatory"
MESSAGE_TYPE: Final = "strayline.message_type"
REPLY_TO: Final = "strayline.reply_to"
BODY_HASH: Final = "strayline.body_hash"
OUTCOME: Final = "strayline.outcome"
"""Of a publish: confirmed, returned, nacked, unknown, unconfirmed, committed, rolled_back."""
SETTLEMENT: Final = "strayline.settlement"
"""ack, nack_requeue, nack_drop, reject_requeue, reject_drop, auto, sent, none."""
SETTLED_UNIX_NANO: Final = "strayline.settled_unix_nano"
RECEIVED_UNIX_NANO: Final = "strayline.received_unix_nano"
"""When the client library got the delivery; a prefetched message is handled much later."""
ORDERING_KEY: Final = "strayline.ordering_key"
EPOCH: Final = "strayline.epoch"
"""Resource-like: the 16 hex digits of this process's stamps, on every span of the AMQP shim."""
ROUTING_HEADERS: Final = "strayline.routing_headers"
"""JSON object of the header values that routing needs (headers exchanges, CC)."""
BODY: Final = "strayline.body"
"""Only where asked for: so much of the body as asked for, redacted."""
BODY_OMITTED: Final = "strayline.body_omitted"
"""Why a body that was asked for is not there."""
BATCH: Final = "strayline.batch"
"""True on the span of a batch's handling: its messages' deliveries are told one by one elsewhere."""

TOPOLOGY_SPAN: Final = "strayline.topology"
TOPOLOGY: Final = "strayline.topology"
"""JSON of what one connection declared: see ``docs/messages.md``, "Topology on the wire"."""
CENSUS_SPAN: Final = "strayline.census"
CENSUS: Final = "strayline.census"

INTERNAL_SPANS: Final = (TOPOLOGY_SPAN, CENSUS_SPAN)
"""Span names kept out of traces, services and counts."""
