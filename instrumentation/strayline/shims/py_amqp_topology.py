"""What a service declares, binds and deletes through py-amqp: reported once the broker agreed, or
once it is sent where the application waits for no answer (``nowait``)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import amqp

from strayline.amqp import topology
from strayline.guard import survived
from strayline.patching import Patches
from strayline.shims.py_amqp_record import Record, is_left_alone, record_of

Given = Mapping[str, Any]
Describe = Callable[[Record, Given, Any], Mapping[str, Any]]


def wrap_topology(patches: Patches) -> None:
    """Patches every method that changes the topology."""
    for name, describe in _METHODS:
        patches.wrap(amqp.Channel, name, functools.partial(_reported, describe))


def _reported(describe: Describe, original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, *args, **kwargs)
        with survived(f"reporting {original.__name__}"):
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            record = record_of(self)
            item = describe(record, bound.arguments, answer)
            if not any(is_left_alone(str(item.get(part) or "")) for part in _NAMES):
                record.declared(item)
        return answer

    return method


_NAMES: Final = ("name", "source_name", "destination")


def _queue_declare(record: Record, given: Given, answer: Any) -> Mapping[str, Any]:
    name = getattr(answer, "queue", None) or given["queue"] or ""
    record.last_queue = name
    return {
        "action": "check" if given["passive"] else "declare",
        "kind": "queue",
        "name": name,
        **topology.options(given, "durable", "exclusive", "auto_delete"),
    }


def _exchange_declare(record: Record, given: Given, answer: Any) -> Mapping[str, Any]:
    return {
        "action": "check" if given["passive"] else "declare",
        "kind": "exchange",
        "name": given["exchange"],
        "type": str(given["type"] or "direct"),
        **topology.options(given, "durable", "auto_delete"),
    }


def _binding(
    action: str, kind: str, record: Record, given: Given, answer: Any
) -> Mapping[str, Any]:
    return topology.bound(action, kind, given, record.last_queue)


def _deleted(kind: str, record: Record, given: Given, answer: Any) -> Mapping[str, Any]:
    return topology.emptied(topology.deleted(kind, given, record.last_queue), answer)


def _purged(record: Record, given: Given, answer: Any) -> Mapping[str, Any]:
    return topology.emptied(topology.purged(given, record.last_queue), answer)


_METHODS: Final[tuple[tuple[str, Describe], ...]] = (
    ("queue_declare", _queue_declare),
    ("exchange_declare", _exchange_declare),
    ("queue_bind", functools.partial(_binding, "bind", "queue")),
    ("queue_unbind", functools.partial(_binding, "unbind", "queue")),
    ("exchange_bind", functools.partial(_binding, "bind", "exchange")),
    ("exchange_unbind", functools.partial(_binding, "unbind", "exchange")),
    ("queue_delete", functools.partial(_deleted, "queue")),
    ("queue_purge", _purged),
    ("exchange_delete", functools.partial(_deleted, "exchange")),
)
