"""What a service declares, binds and deletes through aiormq, reported once the broker agreed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiormq

from strayline.amqp import Channel, topology
from strayline.guard import survived
from strayline.patching import Patches

ChannelOf = Callable[[Any], Channel]
Describe = Callable[[Channel, Mapping[str, Any], Any], Mapping[str, Any] | None]


def wrap_topology(patches: Patches, channel_of: ChannelOf) -> None:
    """Patches every method that changes the topology."""
    for name, describe in _METHODS:
        patches.wrap(aiormq.Channel, name, functools.partial(_reported, channel_of, describe))


def _reported(
    channel_of: ChannelOf, describe: Describe, original: Callable[..., Any]
) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await original(self, *args, **kwargs)
        with survived(f"reporting {original.__name__}"):
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            channel = channel_of(self)
            item = describe(channel, bound.arguments, answer)
            if item is not None:
                channel.declared(item)
        return answer

    return method


def _queue_declare(channel: Channel, given: Mapping[str, Any], answer: Any) -> Mapping[str, Any]:
    name = getattr(answer, "queue", None) or given["queue"]
    channel.last_queue = name
    return {
        "action": "check" if given.get("passive") else "declare",
        "kind": "queue",
        "name": name,
        **topology.options(given, "durable", "exclusive", "auto_delete"),
    }


def _exchange_declare(channel: Channel, given: Mapping[str, Any], answer: Any) -> Mapping[str, Any]:
    return {
        "action": "check" if given.get("passive") else "declare",
        "kind": "exchange",
        "name": given["exchange"],
        "type": str(given.get("exchange_type") or "direct"),
        **topology.options(given, "durable", "auto_delete"),
    }


def _binding(
    action: str, kind: str, channel: Channel, given: Mapping[str, Any], answer: Any
) -> Mapping[str, Any]:
    return topology.bound(action, kind, given, channel.last_queue)


def _deleted(
    kind: str, channel: Channel, given: Mapping[str, Any], answer: Any
) -> Mapping[str, Any]:
    item = topology.deleted(kind, given, channel.last_queue)
    return topology.emptied(item, getattr(answer, "message_count", None))


def _purged(channel: Channel, given: Mapping[str, Any], answer: Any) -> Mapping[str, Any]:
    item = topology.purged(given, channel.last_queue)
    return topology.emptied(item, getattr(answer, "message_count", None))


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
