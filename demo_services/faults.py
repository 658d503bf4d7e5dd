"""What can be made to go wrong, and when. Everything follows from the order's number, so that a
run is the same each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KINDS: Final = {
    "misroute": "order.created is published with the key of order.paid (one order in 25)",
    "stale_binding": "shipping.orders is still bound to order.updated, as an older release had it",
    "unroutable": "order.cancelled is published with a misspelt key (one order in 20, 25 at most)",
    "requeue": "billing gives order.created back with requeue (one order in 15)",
    "discard": "notifications rejects a mail, and no dead-letter exchange keeps it (one order in 30)",
    "concurrent": "notifications handles its audit queue with eight handlers at once",
}
ALIASES: Final = {"reorder": ("requeue", "concurrent")}
UNROUTABLE_MOST: Final = 25
"""Thirty publishes of one key that all go nowhere are an event nobody subscribed to, no fault."""


class FaultsError(Exception):
    """A name that is no fault."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of one run."""

    kinds: frozenset[str]

    @staticmethod
    def parse(text: str) -> Faults:
        """``all``, ``none`` or names separated by commas. Raises ``FaultsError``."""
        names = [name.strip() for name in text.split(",") if name.strip()]
        if names == ["all"]:
            return Faults(frozenset(KINDS))
        if names in ([], ["none"]):
            return Faults(frozenset())
        chosen: set[str] = set()
        for name in names:
            if name in ALIASES:
                chosen.update(ALIASES[name])
            elif name in KINDS:
                chosen.add(name)
            else:
                known = ", ".join(["all", "none", *KINDS, *ALIASES])
                raise FaultsError(f"--faults {name}: expected one of {known}")
        return Faults(frozenset(chosen))

    def __str__(self) -> str:
        return ",".join(sorted(self.kinds)) or "none"

    def wrong_key(self, order: int) -> bool:
        return "misroute" in self.kinds and order % 25 == 3

    def misspelt(self, order: int) -> bool:
        return "unroutable" in self.kinds and order % 20 == 11 and order // 20 < UNROUTABLE_MOST

    def requeued(self, order: int, kind: str, *, redelivered: bool) -> bool:
        return (
            "requeue" in self.kinds
            and kind == "order.created"
            and order % 15 == 7
            and not redelivered
        )

    def discarded(self, order: int, kind: str) -> bool:
        return "discard" in self.kinds and kind == "order.closed" and order % 30 == 17

    @property
    def stale_binding(self) -> bool:
        return "stale_binding" in self.kinds

    @property
    def concurrent(self) -> bool:
        return "concurrent" in self.kinds
