"""Observed traffic → an AsyncAPI document that says what was seen. A start for people to correct: it
cannot tell what was meant from what merely happened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

TITLE: Final = "Observed messages"
OBSERVED: Final = """
SELECT DISTINCT coalesce(d.vhost, p.vhost) AS vhost, d.queue, coalesce(p.exchange, d.exchange) AS exchange,
    coalesce(p.routing_key, d.routing_key) AS routing_key, p.type, p.service AS producer, d.service AS consumer
FROM publishes p FULL JOIN (SELECT * FROM deliveries WHERE death IS NULL) d ON d.message = p.message
WHERE coalesce(p.exchange, d.exchange) IS NOT NULL AND coalesce(p.routing_key, d.routing_key) IS NOT NULL
ORDER BY ALL
"""
"""What is asked of a collector: the distinct ways of messages."""
_MADE_UP: Final = re.compile(r"^amq\.(gen-|rabbitmq\.)")
_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b"
)
Way = Mapping[str, Any]


@dataclass(slots=True)
class _Names:
    """Names that are unique, each made from what it stands for."""

    taken: dict[Any, str]

    def of(self, subject: Any, *wishes: str) -> str:
        if subject not in self.taken:
            used = set(self.taken.values())
            plain = [re.sub(r"[^\w.-]+", "_", wish) for wish in wishes]
            numbered = (f"{plain[-1]}_{i}" for i in range(2, len(used) + 3))
            self.taken[subject] = next(n for n in (*plain, *numbered) if n and n not in used)
        return self.taken[subject]


def infer(ways: Iterable[Way], service: str | None = None) -> dict[str, Any]:
    """The document of a whole system, or of one ``service`` alone, which it then binds."""
    seen = [way for way in ways if _lasting(way)]
    if service is not None:
        seen = [way for way in seen if service in (way["producer"], way["consumer"])]
    several = len({way["vhost"] for way in seen}) > 1
    messages, channels = _Names({}), _Names({})
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": service or TITLE, "version": "0.1.0"},
        **({} if service is None else {"x-strayline-service": service}),
        "channels": {},
        "operations": {},
        "components": {"messages": {}},
    }
    for way in seen:
        address = _ID.sub("{id}", way["routing_key"])
        message = _message(document, messages, way, address)
        vhost = {"vhost": way["vhost"]} if several and way["vhost"] is not None else {}
        exchange = way["exchange"]
        key = channels.of(
            ("key", way["vhost"] if several else None, exchange, address),
            f"{exchange or 'default'}.{address}",
        )
        _list(document, key, address, _key_binding(exchange, vhost), message)
        if way["producer"] is not None and service in (None, way["producer"]):
            _operate(document, f"send.{key}", "send", key, message, way["producer"])
        if way["queue"] is None:
            continue
        queue = channels.of(
            ("queue", way["vhost"] if several else None, way["queue"]), f"queue.{way['queue']}"
        )
        binding = {"is": "queue", "queue": {"name": way["queue"], **vhost}}
        _list(document, queue, None, binding, message)
        if way["consumer"] is not None and service in (None, way["consumer"]):
            _operate(document, f"receive.{queue}", "receive", queue, message, way["consumer"])
    return document


def _lasting(way: Way) -> bool:
    """Not what a client or broker made up for a moment, such as a queue for replies."""
    names = (way["exchange"], way["routing_key"], way["queue"] or "")
    return not any(_MADE_UP.match(name) for name in names) and not _ID.search(way["queue"] or "")


def _message(document: dict[str, Any], names: _Names, way: Way, address: str) -> str:
    kind = way["type"]
    if kind is not None:
        name = names.of(("type", kind), kind)
        content: dict[str, Any] = {"bindings": {"amqp": {"messageType": kind}}}
    else:
        exchange = way["exchange"]
        name = names.of(
            ("key", exchange, address), address or exchange or "empty", f"{exchange}.{address}"
        )
        content = {"name": name}
    document["components"]["messages"].setdefault(name, content)
    return name


def _key_binding(exchange: str, vhost: dict[str, Any]) -> dict[str, Any]:
    named = {"name": exchange, **vhost} if exchange else {"type": "default", **vhost}
    return {"is": "routingKey", "exchange": named}


def _list(
    document: dict[str, Any],
    channel: str,
    address: str | None,
    binding: dict[str, Any],
    message: str,
) -> None:
    found = document["channels"].setdefault(
        channel,
        {
            **({} if address is None else {"address": address}),
            **({"parameters": {"id": {}}} if "{id}" in (address or "") else {}),
            "bindings": {"amqp": binding},
            "messages": {},
        },
    )
    found["messages"][message] = {"$ref": f"#/components/messages/{message}"}


def _operate(
    document: dict[str, Any], name: str, action: str, channel: str, message: str, service: str
) -> None:
    found = document["operations"].setdefault(
        name,
        {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "description": f"Seen of {service}",
            "messages": [],
        },
    )
    if service not in found["description"].removeprefix("Seen of ").split(", "):
        found["description"] += f", {service}"
    listed = {"$ref": f"#/channels/{channel}/messages/{message}"}
    if listed not in found["messages"]:
        found["messages"].append(listed)
