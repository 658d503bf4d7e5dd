"""The methods by which a pika channel declares, binds and deletes, as items of topology."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from pika import spec

from strayline.amqp import topology

Item = dict[str, Any]


def asked(method: Any, last_queue: str) -> Item:
    """What a method asks of the broker. ``last_queue`` is what AMQP means by an empty queue name."""
    return CHANGES[type(method)](method, last_queue)


def is_nowait(method: Any) -> bool:
    """Whether the broker will not answer. ``queue.unbind`` always has an answer."""
    return bool(getattr(method, "nowait", False))


def told(item: Item, answer: Any) -> Item:
    """The item with what the broker's answer adds: the name that it made up, how many messages went."""
    if item["action"] in ("delete", "purge"):
        return topology.emptied(item, getattr(answer, "message_count", None))
    name = getattr(answer, "queue", None)
    return {**item, "name": name} if name and item["kind"] == "queue" else item


def _queue_declare(method: Any, last_queue: str) -> Item:
    return {
        "action": "check" if method.passive else "declare",
        "kind": "queue",
        "name": method.queue or "",
        **topology.options(vars(method), "durable", "exclusive", "auto_delete"),
    }


def _exchange_declare(method: Any, last_queue: str) -> Item:
    return {
        "action": "check" if method.passive else "declare",
        "kind": "exchange",
        "name": method.exchange,
        "type": str(method.type or "direct"),
        **topology.options(vars(method), "durable", "auto_delete"),
    }


def _binding(action: str, kind: str, method: Any, last_queue: str) -> Item:
    return topology.bound(action, kind, vars(method), last_queue)


def _deleted(kind: str, method: Any, last_queue: str) -> Item:
    return topology.deleted(kind, vars(method), last_queue)


def _purged(method: Any, last_queue: str) -> Item:
    return topology.purged(vars(method), last_queue)


CHANGES: Final[dict[type, Callable[[Any, str], Item]]] = {
    spec.Queue.Declare: _queue_declare,
    spec.Queue.Bind: functools.partial(_binding, "bind", "queue"),
    spec.Queue.Unbind: functools.partial(_binding, "unbind", "queue"),
    spec.Queue.Delete: functools.partial(_deleted, "queue"),
    spec.Queue.Purge: _purged,
    spec.Exchange.Declare: _exchange_declare,
    spec.Exchange.Bind: functools.partial(_binding, "bind", "exchange"),
    spec.Exchange.Unbind: functools.partial(_binding, "unbind", "exchange"),
    spec.Exchange.Delete: functools.partial(_deleted, "exchange"),
}
ANSWERS: Final = (
    spec.Queue.DeclareOk,
    spec.Queue.BindOk,
    spec.Queue.UnbindOk,
    spec.Queue.DeleteOk,
    spec.Queue.PurgeOk,
    spec.Exchange.DeclareOk,
    spec.Exchange.BindOk,
    spec.Exchange.UnbindOk,
    spec.Exchange.DeleteOk,
)
