"""Where a message goes when it dies in a queue: expired, rejected, over the length, over the limit
of deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from strayline_collector.detect.route.message import Death, Message
from strayline_collector.detect.route.topology import Topology
from strayline_collector.detect.route.walk import Route, route_message

REASONS: Final = ("expired", "rejected", "maxlen", "delivery_limit")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The message as it leaves the queue, and where it goes."""

    message: Message
    route: Route


def dead_letter(topology: Topology, queue: str, reason: str, message: Message) -> DeadLetter | None:
    """What becomes of ``message`` when it dies in ``queue``; None: it is discarded, the queue has
    no dead-letter exchange.

    A queue in which it died before is left out when nothing was rejected since: the broker breaks
    circles that would turn by themselves.
    """
    known = topology.queues.get(queue)
    if known is None or known.unknown is not None:
        if known is None and topology.complete:
            return None
        why = f"queue {queue!r} was not seen" if known is None else known.unknown
        return DeadLetter(message, Route(frozenset(), unknown=why))
    if known.dead_letter_exchange is None:
        return None
    dead = message.died(queue, reason, known.dead_letter_exchange, known.dead_letter_routing_key)
    found = route_message(topology, dead)
    if reason != "rejected":
        found = _without(found, {q for q in found.queues if turns_by_itself(q, dead.deaths)})
    return DeadLetter(dead, found)


def dead_letters_to(topology: Topology, queue: str) -> str | None:
    """The dead-letter exchange of ``queue``, empty for the default one; None: none, or not known."""
    known = topology.queues.get(queue)
    return None if known is None else known.dead_letter_exchange


def turns_by_itself(queue: str, deaths: Sequence[Death]) -> bool:
    """Whether the way back to ``queue`` holds no rejection, so that nobody would ever stop it."""
    for death in deaths:
        if death.reason == "rejected":
            return False
        if death.queue == queue:
            return True
    return False


def _without(found: Route, circling: set[str]) -> Route:
    if not circling:
        return found
    return replace(
        found,
        queues=found.queues - circling,
        outcomes=frozenset(outcome - circling for outcome in found.outcomes),
    )
