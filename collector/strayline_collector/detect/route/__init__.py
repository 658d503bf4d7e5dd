"""The routing oracle: where RabbitMQ puts a message, as pure functions of a frozen topology.

What the topology or the record does not say is ``unknown``, with the reason, never a guess. Held
against a real broker on generated topologies and messages (``tests/detect/test_route_broker.py``).
"""

from __future__ import annotations

from strayline_collector.detect.route.dead_letter import DeadLetter, dead_letter, dead_letters_to
from strayline_collector.detect.route.match import matches, topic_matches, topic_words
from strayline_collector.detect.route.message import UNRECORDED, Death, Message
from strayline_collector.detect.route.policy import Policy, policy_of
from strayline_collector.detect.route.topology import (
    PREDECLARED,
    Binding,
    Exchange,
    Queue,
    Topology,
)
from strayline_collector.detect.route.walk import Route, route, route_message

__all__ = [
    "PREDECLARED",
    "UNRECORDED",
    "Binding",
    "DeadLetter",
    "Death",
    "Exchange",
    "Message",
    "Policy",
    "Queue",
    "Route",
    "Topology",
    "dead_letter",
    "dead_letters_to",
    "matches",
    "policy_of",
    "route",
    "route_message",
    "topic_matches",
    "topic_words",
]
