"""The methods by which a pika channel declares, binds and deletes, as items of topology."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from pika import spec

Item = dict[str, Any]


def asked(method: Any, last_queue: str) -> Item:
    """What a method asks of the broker. ``last_queue`` is what AMQP means by an empty queue name."""
    return CHANGES[type(method)](method, last_queue)


def is_nowait(method: Any) -> bool:
    """Whether the broker will not answer. ``queue.unbind`` always has an answer."""
    return bool(getattr(method, "nowait", False))


def told(item: Item, answer: Any) -> Item:
    """The item with what the broker's answer adds: the name that it made up."""
    name = getattr(answer, "queue", None)
    return {**item, "name": name} if name and item["kind"] == "queue" else item


def _queue_declare(method: Any, last_queue: str) -> Item:
    return {
        "action": "check" if method.passive else "declare",
        "kind": "queue",
        "name": method.queue or "",
        **_options(method, "durable", "exclusive", "auto_delete"),
    }


def _exchange_declare(method: Any, last_queue: str) -> Item:
    return {
        "action": "check" if method.passive else "declare",
        "kind": "exchange",
        "name": method.exchange,
        "type": str(method.type or "direct"),
        **_options(method, "durable", "auto_delete"),
    }


def _options(method: Any, *names: str) -> Item:
    found: Item = {name: bool(getattr(method, name)) for name in names}
    found["arguments"] = dict(method.arguments or {})
    return found


def _queue_binding(action: str, method: Any, last_queue: str) -> Item:
    return _binding(action, method, method.exchange, method.queue or last_queue, "queue")


def _exchange_binding(action: str, method: Any, last_queue: str) -> Item:
    return _binding(action, method, method.source, method.destination, "exchange")


def _binding(action: str, method: Any, source: Any, destination: Any, kind: str) -> Item:
    return {
        "action": action,
        "kind": "binding",
        "source_name": source or "",
        "destination": destination or "",
        "destination_kind": kind,
        "routing_key": method.routing_key or "",
        "arguments": dict(method.arguments or {}),
    }


def _queue_delete(method: Any, last_queue: str) -> Item:
    return {"action": "delete", "kind": "queue", "name": method.queue or last_queue}


def _exchange_delete(method: Any, last_queue: str) -> Item:
    return {"action": "delete", "kind": "exchange", "name": method.exchange or ""}


CHANGES: Final[dict[type, Callable[[Any, str], Item]]] = {
    spec.Queue.Declare: _queue_declare,
    spec.Queue.Bind: functools.partial(_queue_binding, "bind"),
    spec.Queue.Unbind: functools.partial(_queue_binding, "unbind"),
    spec.Queue.Delete: _queue_delete,
    spec.Exchange.Declare: _exchange_declare,
    spec.Exchange.Bind: functools.partial(_exchange_binding, "bind"),
    spec.Exchange.Unbind: functools.partial(_exchange_binding, "unbind"),
    spec.Exchange.Delete: _exchange_delete,
}
ANSWERS: Final = (
    spec.Queue.DeclareOk,
    spec.Queue.BindOk,
    spec.Queue.UnbindOk,
    spec.Queue.DeleteOk,
    spec.Exchange.DeclareOk,
    spec.Exchange.BindOk,
    spec.Exchange.UnbindOk,
    spec.Exchange.DeleteOk,
)
