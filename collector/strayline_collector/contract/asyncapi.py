"""AsyncAPI 3.0 documents with AMQP bindings → a contract. Strict: what is not understood is a fault
that names file, line and rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from strayline_collector.contract.model import (
    Contract,
    Document,
    KeyChannel,
    Message,
    Operation,
    QueueChannel,
)
from strayline_collector.contract.source import Place, Sources


def read_contract(paths: Iterable[Path]) -> Contract:
    """Reads and merges documents. Raises ``Fault``, a ``UsageError``."""
    documents: list[Document] = []
    digest = hashlib.sha256()
    for path in paths:
        sources = Sources(path)
        documents.append(_document(sources))
        digest.update(json.dumps(sources.texts(), default=str).encode())
    return Contract(tuple(documents), digest.hexdigest() if documents else "")


def _document(sources: Sources) -> Document:
    root = Place(sources.first, ())
    if not isinstance(root.value, dict):
        raise root.fault("must be an object with 'asyncapi' and 'info'")
    version = root.value.get("asyncapi")
    if isinstance(version, str) and not version.startswith("3.0."):
        raise root.fault(f"is AsyncAPI {version}; 3.0 is read", "asyncapi")
    _check(root, "document")
    channels = {
        name: (place, sources.follow(place))
        for name, place in (_get(root, "channels").items() if root.get("channels") else ())
    }
    keys: list[KeyChannel] = []
    queues: list[QueueChannel] = []
    known: dict[Place, tuple[str, frozenset[Message]]] = {}
    for name, (declared, channel) in channels.items():
        _check(channel, "channel")
        messages = _messages(sources, channel)
        known[declared] = known[channel] = (name, frozenset(messages.values()))
        made = _channel(sources, name, channel, frozenset(messages.values()))
        if isinstance(made, KeyChannel):
            keys.append(made)
        elif made is not None:
            queues.append(made)
    operations: list[Operation] = []
    if root.get("operations"):
        for name, place in _get(root, "operations").items():
            operations.append(_operation(sources, name, sources.follow(place), known))
    info: Mapping[str, Any] = root.value["info"]
    service = root.value.get("x-strayline-service") or info.get("x-strayline-service")
    return Document(
        str(sources.first.path),
        info["title"],
        service,
        tuple(keys),
        tuple(queues),
        tuple(operations),
    )


def _channel(
    sources: Sources, name: str, channel: Place, messages: frozenset[Message]
) -> KeyChannel | QueueChannel | None:
    """A channel over AMQP; None for one over another protocol alone."""
    binding = _binding(sources, channel, "channelBinding")
    if binding is None:
        return None
    address = channel.value.get("address")
    said: Mapping[str, Any] = binding.value
    if said.get("is", "routingKey") == "routingKey":
        _silent(channel, "x-strayline-ordered", "x-strayline-exactly-once")
        exchange = said.get("exchange")
        if exchange is None or ("name" not in exchange and exchange.get("type") != "default"):
            raise binding.fault("a channel that is a routingKey needs exchange.name", "exchange")
        return KeyChannel(name, exchange.get("name", ""), address, exchange.get("vhost"), messages)
    queue: Mapping[str, Any] = said.get("queue") or {}
    queue_name = queue.get("name") or address
    if not queue_name:
        raise binding.fault("a channel that is a queue needs queue.name, or an address", "queue")
    return QueueChannel(
        name,
        queue_name,
        queue.get("vhost"),
        messages,
        channel.value.get("x-strayline-ordered"),
        channel.value.get("x-strayline-exactly-once", False),
    )


def _silent(channel: Place, *names: str) -> None:
    for name in names:
        if name in channel.value:
            raise channel.fault(f"{name} is said of queues, and this channel is a routingKey", name)


def _messages(sources: Sources, channel: Place) -> dict[Place, Message]:
    """The messages of a channel, by where they are written and by where they are listed."""
    found: dict[Place, Message] = {}
    if channel.get("messages") is None:
        return found
    for key, place in _get(channel, "messages").items():
        target = sources.follow(place)
        _check(target, "message")
        binding = _binding(sources, target, "messageBinding")
        kind = None if binding is None else binding.value.get("messageType")
        where = str(target.path[-1]) if target.path else key
        found[place] = Message(target.value.get("name") or where, kind)
    return found


def _operation(
    sources: Sources,
    name: str,
    operation: Place,
    known: Mapping[Place, tuple[str, frozenset[Message]]],
) -> Operation:
    _check(operation, "operation")
    channel = sources.follow(_get(operation, "channel"))
    if channel not in known:
        raise operation.fault("channel must lead to one of this document's channels", "channel")
    channel_name, listed = known[channel]
    messages = listed
    if operation.value.get("messages") is not None:
        chosen: list[Message] = []
        own = _messages(sources, channel)
        targets = {sources.follow(place): message for place, message in own.items()}
        for i in range(len(operation.value["messages"])):
            target = sources.follow(_get(operation, "messages", i))
            if target not in targets:
                raise operation.fault(
                    "messages must lead to messages of the operation's channel", "messages", i
                )
            chosen.append(targets[target])
        messages = frozenset(chosen)
    action: Literal["send", "receive"] = operation.value["action"]
    spans = operation.value.get("x-strayline-operation", [])
    return Operation(
        name,
        action,
        channel_name,
        messages,
        frozenset([spans] if isinstance(spans, str) else spans),
    )


def _binding(sources: Sources, holder: Place, rule: str) -> Place | None:
    bindings = holder.get("bindings")
    if bindings is None:
        return None
    found = sources.follow(bindings).get("amqp")
    if found is None:
        return None
    found = sources.follow(found)
    _check(found, rule)
    return found


def _get(place: Place, *more: str | int) -> Place:
    found = place.get(*more)
    if found is None:
        raise place.fault(f"{more[-1]} is missing")
    return found


@cache
def _validator(rule: str) -> Draft202012Validator:
    text = files("strayline_collector.contract").joinpath("asyncapi.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{rule}"})


def _check(place: Place, rule: str) -> None:
    error = best_match(_validator(rule).iter_errors(place.value))
    if error is None:
        return
    where = tuple(error.absolute_path)
    name, extra = ".".join(map(str, (*place.path, *where))) or "document", ()
    if error.validator == "additionalProperties":
        unknown = sorted(_unknown(error))
        extra = (unknown[0],)
        said = f"{', '.join(map(repr, unknown))} is nothing that AsyncAPI 3.0 has here"
    else:
        said = error.message
    raise place.fault(f"{name}: {said}", *where, *extra)


def _unknown(error: ValidationError) -> set[str]:
    schema: Any = error.schema
    instance: Any = error.instance
    return {
        name
        for name in instance
        if name not in schema.get("properties", {}) and not name.startswith("x-")
    }
