"""What a service declares, binds and deletes, told once the broker agreed."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from strayline import conventions as c
from strayline.amqp.believed import believe
from strayline.amqp.facts import Broker
from strayline.lifecycle import after_fork
from strayline.provider import say
from strayline.stamp import stamper

REPEAT_S: Final = 1.0
"""Some programs declare before every publish; the same word again within this is not news."""
MAX_SAID: Final = 10_000

_lock = threading.Lock()
_said: Final[OrderedDict[str, tuple[str, float]]] = OrderedDict()


def report(broker: Broker, item: Mapping[str, Any]) -> None:
    """One ``strayline.topology`` span for one change."""
    if not _is_news(broker, item):
        return
    text = json.dumps({**item, "at_unix_nano": time.time_ns()}, default=_plain)
    attributes = {c.TOPOLOGY: f'{{"items": [{text}]}}', c.EPOCH: stamper.epoch}
    say(c.TOPOLOGY_SPAN, {**attributes, **broker.attributes()})
    believe(broker, item, text, _sorted(item.get("arguments")))


def bound(action: str, kind: str, given: Mapping[str, Any], last_queue: str = "") -> dict[str, Any]:
    """The item of a binding (``bind``, ``unbind``) of a queue or of an exchange, by the names that
    AMQP gives the method's arguments: ``exchange`` and ``queue``, ``source`` and ``destination``."""
    source, destination = ("exchange", "queue") if kind == "queue" else ("source", "destination")
    return {
        "action": action,
        "kind": "binding",
        "source_name": given.get(source) or "",
        "destination": given.get(destination) or (last_queue if kind == "queue" else ""),
        "destination_kind": kind,
        "routing_key": given.get("routing_key") or "",
        "arguments": dict(given.get("arguments") or {}),
    }


def deleted(kind: str, given: Mapping[str, Any], last_queue: str = "") -> dict[str, Any]:
    """The item of a deleted queue or exchange."""
    name = given.get(kind) or (last_queue if kind == "queue" else "")
    return {"action": "delete", "kind": kind, "name": name}


def purged(given: Mapping[str, Any], last_queue: str = "") -> dict[str, Any]:
    """The item of a purged queue."""
    return {"action": "purge", "kind": "queue", "name": given.get("queue") or last_queue}


def emptied(item: dict[str, Any], messages: object) -> dict[str, Any]:
    """The item of a deleted or purged queue with how many messages went with it, as the broker said."""
    return {**item, "arguments": {"messages": messages}} if isinstance(messages, int) else item


def options(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named yes-or-no arguments of a declare, and its table of others."""
    found: dict[str, Any] = {name: bool(given.get(name)) for name in names}
    found["arguments"] = dict(given.get("arguments") or {})
    return found


def _is_news(broker: Broker, item: Mapping[str, Any]) -> bool:
    """Whether this differs from what was last said of the same thing, or that was long ago."""
    named = [
        item.get(part) for part in ("kind", "name", "source_name", "destination", "routing_key")
    ]
    if item.get("kind") == "binding":
        named.append(_sorted(item.get("arguments")))
    place = (stamper.epoch, broker.name, broker.vhost, broker.host, broker.port)
    subject = repr((place, named))
    word, now = _sorted(item), time.monotonic()
    with _lock:
        last = _said.pop(subject, None)
        news = last is None or last[0] != word or now - last[1] > REPEAT_S
        _said[subject] = (word, now) if news or last is None else last
        if len(_said) > MAX_SAID:
            _said.popitem(last=False)
    return news


def _sorted(value: Any) -> str:
    return json.dumps(value, default=_plain, sort_keys=True)


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()


after_fork(_in_child)
