"""Which policy is in force for an exchange or a queue. At most one is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

_STREAM_ONLY: Final = frozenset(
    {"max-age", "stream-max-segment-size-bytes", "initial-cluster-size"}
)
_QUORUM_ONLY: Final = frozenset({"delivery-limit", "dead-letter-strategy"})
_MIRRORED: Final = frozenset(
    {
        "ha-mode",
        "ha-params",
        "ha-sync-mode",
        "ha-promote-on-shutdown",
        "ha-promote-on-failure",
        "queue-master-locator",
    }
)
_CLASSIC_ONLY: Final = (
    frozenset({"max-priority", "queue-mode", "single-active-consumer"}) | _MIRRORED
)
_UNSUPPORTED: Final[Mapping[str, frozenset[str]]] = {
    "classic": _STREAM_ONLY | _QUORUM_ONLY | {"queue-leader-locator"},
    "quorum": _CLASSIC_ONLY | _STREAM_ONLY,
    "stream": _CLASSIC_ONLY
    | _QUORUM_ONLY
    | {
        "expires",
        "message-ttl",
        "dead-letter-exchange",
        "dead-letter-routing-key",
        "max-length",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "overflow",
    },
}
"""By type of queue (RabbitMQ 3.10): a policy that holds one of these passes the queue by."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of the vhost. Operator policies carry no keys that route and are left out."""

    name: str
    pattern: str
    apply_to: str
    """``all``, ``exchanges``, ``queues``, ``classic_queues``, ``quorum_queues`` or ``streams``."""
    priority: int
    definition: Mapping[str, Any]


def policy_of(
    policies: Iterable[Policy], kind: Literal["exchange", "queue"], name: str, queue_type: str
) -> Policy | str | None:
    """The one policy in force for a thing: of those that fit the one of highest priority; None when
    none fits. A text says why that cannot be known."""
    best: list[Policy] = []
    for policy in policies:
        if not _fits(policy, kind, queue_type):
            continue
        try:
            hit = re.search(policy.pattern, name)
        except re.error:
            return f"the pattern of policy {policy.name!r} cannot be read"
        if hit is None or (best and policy.priority < best[0].priority):
            continue
        if best and policy.priority > best[0].priority:
            best = []
        best.append(policy)
    if len(best) > 1:
        names = ", ".join(repr(p.name) for p in best)
        return (
            f"policies {names} match {name!r} with the same priority, and the broker picks either"
        )
    return best[0] if best else None


def _fits(policy: Policy, kind: str, queue_type: str) -> bool:
    if kind == "exchange":
        return policy.apply_to in ("all", "exchanges")
    own = "streams" if queue_type == "stream" else f"{queue_type}_queues"
    if policy.apply_to not in ("all", "queues", own):
        return False
    return _UNSUPPORTED.get(queue_type, frozenset()).isdisjoint(policy.definition)
