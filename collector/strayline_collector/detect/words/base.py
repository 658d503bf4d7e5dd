"""What every sentence is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strayline_collector.store.ports import Row


@dataclass(frozen=True, slots=True)
class Words:
    """What a person reads of a finding: what happened, in detail, and what to do."""

    title: str
    explanation: str
    remedy: str


def count(incident: Row, what: str = "message") -> str:
    number = incident["count"]
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def counted(incident: Row, one: str, many: str) -> str:
    """``1 message was``, ``13 messages were``: the count with the verb that fits it."""
    return f"{count(incident)} {one if incident['count'] == 1 else many}"


def was(incident: Row) -> str:
    return "was" if incident["count"] == 1 else "were"


def them(incident: Row) -> str:
    return "it" if incident["count"] == 1 else "them"


def their(incident: Row) -> str:
    return "its" if incident["count"] == 1 else "their"


_ONE: Final = {"They": "It", "them": "it", "their": "its", "were": "was"}


def told(text: str, incident: Row) -> str:
    """``text``, in which ``{They} {them} {their} {were}`` speak of one message or of several."""
    one = incident["count"] == 1
    return text.format_map({many: single if one else many for many, single in _ONE.items()})


def exchange(incident: Row) -> str:
    return incident["exchange"] or "(default)"


def quoted(name: str | None) -> str:
    return f"“{name}”" if name else "(empty)"


def keyed(incident: Row) -> str:
    """``with key “k”``, or that it has none."""
    key = incident["routing_key"]
    return f"with key {quoted(key)}" if key else "without a key"


def queues(names: list[str] | None) -> str:
    return "to no queue" if not names else "to " + ", ".join(names)


def published(incident: Row) -> str:
    """``13 messages published by orders to x with key “k”``, or ``without a key``."""
    return (
        f"{count(incident)} published by {incident['producer_service'] or 'an unknown producer'} "
        f"to {exchange(incident)} {keyed(incident)}"
    )
