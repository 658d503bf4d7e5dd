"""Which findings each fault must produce, message by message. Add a fault here and in ``faults``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo_services import names
from demo_services.faults import Faults
from demo_services.oracle import Fact, arrived, late_messages, rejected, returned

QUEUES: Final = (names.BILLING, names.SHIPPING, names.EMAIL, names.AUDIT)
ROUTES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (names.EVENTS, "order.created"): (names.BILLING,),
    (names.EVENTS, "order.updated"): (names.BILLING,),
    (names.EVENTS, "order.confirmed"): (names.BILLING,),
    (names.EVENTS, "order.paid"): (names.SHIPPING,),
    (names.NOTIFY, ""): (names.EMAIL, names.AUDIT),
}
STALE: Final = (names.EVENTS, "order.updated", names.SHIPPING)
"""Exchange, key and queue of the binding that an older release left behind."""


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What makes findings of a run comparable."""

    kind: str
    verdict: str
    cause: str
    queue: str

    def __str__(self) -> str:
        parts = (self.kind, self.verdict, self.cause, f"in {self.queue}" if self.queue else "")
        return " ".join(part for part in parts if part)


def routes(faults: Faults) -> dict[tuple[str, str], tuple[str, ...]]:
    """Where messages go with the bindings of this run."""
    found = dict(ROUTES)
    if faults.stale_binding:
        exchange, key, queue = STALE
        found[exchange, key] = (*found[exchange, key], queue)
    return found


def expected(logs: Mapping[str, Sequence[Fact]]) -> dict[Kind, set[str]]:
    """What must be found, from the services' own logs alone."""
    found: dict[Kind, set[str]] = {
        Kind("misrouted", "outlier", "", names.SHIPPING): arrived(
            logs, names.SHIPPING, type="order.created", routing_key="order.paid"
        ),
        Kind("misrouted", "stale_binding", "", names.SHIPPING): arrived(
            logs, names.SHIPPING, routing_key="order.updated"
        ),
        Kind("unroutable", "", "", ""): returned(logs),
        Kind("lost", "", "discarded", names.EMAIL): rejected(logs, names.EMAIL),
    }
    for queue in QUEUES:
        for cause, messages in late_messages(logs, queue).items():
            found[Kind("reordered", "", cause, queue)] = messages
    return {kind: messages for kind, messages in found.items() if messages}


def reported(findings: Sequence[Mapping[str, Any]]) -> dict[Kind, set[str]]:
    """What was found, in the same shape. Context (who overtook) is no offender."""
    found: dict[Kind, set[str]] = {}
    for finding in findings:
        kind = Kind(
            finding["kind"],
            finding["verdict"] or "",
            finding["cause"] or "",
            finding["subject"]["queue"] or "",
        )
        messages = {
            m["message_id"]
            for m in finding["messages"]
            if m["role"] not in ("overtaker", "original")
        }
        found.setdefault(kind, set()).update(messages)
    return found
