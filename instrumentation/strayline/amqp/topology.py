"""What a service declares, binds and deletes, told once the broker agreed."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from strayline import conventions as c
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
    document = {"items": [{**item, "at_unix_nano": time.time_ns()}]}
    attributes = {c.TOPOLOGY: json.dumps(document, default=_plain), c.EPOCH: stamper.epoch}
    say(c.TOPOLOGY_SPAN, {**attributes, **broker.attributes()})


def _is_news(broker: Broker, item: Mapping[str, Any]) -> bool:
    """Whether this differs from what was last said of the same thing, or that was long ago."""
    named = [
        item.get(part) for part in ("kind", "name", "source_name", "destination", "routing_key")
    ]
    if item.get("kind") == "binding":
        named.append(json.dumps(item.get("arguments"), default=_plain, sort_keys=True))
    place = (stamper.epoch, broker.name, broker.vhost, broker.host, broker.port)
    subject = repr((place, named))
    word, now = json.dumps(item, default=_plain, sort_keys=True), time.monotonic()
    with _lock:
        last = _said.pop(subject, None)
        news = last is None or last[0] != word or now - last[1] > REPEAT_S
        _said[subject] = (word, now) if news or last is None else last
        if len(_said) > MAX_SAID:
            _said.popitem(last=False)
    return news


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()


after_fork(_in_child)
