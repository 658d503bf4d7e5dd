"""What the readers of foreign documents share: typed looks into JSON, ids, resources by content.

Foreign documents are checked as they are read; whatever is not as its format says raises
``BadInput`` with the place within the document, such as ``spans[3].startTime``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from strayline_collector.decode import values
from strayline_collector.errors import BadInput

_HEX: Final = re.compile(r"[0-9a-fA-F]+\Z")
_MAX_MICROS: Final = (2**63 - 1) // 1000

SPAN_KINDS: Final[dict[str, Span.SpanKind.ValueType]] = {
    "internal": Span.SPAN_KIND_INTERNAL,
    "server": Span.SPAN_KIND_SERVER,
    "client": Span.SPAN_KIND_CLIENT,
    "producer": Span.SPAN_KIND_PRODUCER,
    "consumer": Span.SPAN_KIND_CONSUMER,
}


class Requests:
    """A request that grows by spans; each resource and scope stands in it once."""

    def __init__(self) -> None:
        self.request = ExportTraceServiceRequest()
        self._resources: dict[str, Any] = {}
        self._scopes: dict[tuple[str, str, str], Any] = {}

    def span(self, resource: Mapping[str, Any], scope_name: str = "", scope_version: str = ""):
        """An empty span of this resource (attributes by name) and scope."""
        key = values.text(resource)
        place = (key, scope_name, scope_version)
        scope = self._scopes.get(place)
        if scope is None:
            owner = self._resources.get(key)
            if owner is None:
                owner = self._resources[key] = self.request.resource_spans.add()
                put(owner.resource.attributes, resource)
            scope = self._scopes[place] = owner.scope_spans.add()
            scope.scope.name, scope.scope.version = scope_name, scope_version
        span: Span = scope.spans.add()
        return span


def put(target: RepeatedCompositeFieldContainer[KeyValue], attributes: Mapping[str, Any]) -> None:
    """Adds attributes: strings, booleans, integers, doubles, bytes, lists of these."""
    for name, value in attributes.items():
        item = target.add(key=name).value
        if isinstance(value, bytes):
            item.bytes_value = value
        else:
            values.set_value(item, _sayable(value))


def _sayable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, list):
        return [_sayable(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value


def object_of(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{where}: expected an object, not {_shown(value)}")
    return value


def list_of(value: Any, where: str) -> list[Any]:
    """Null and absent are an empty list, as Go writes it."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInput(f"{where}: expected a list, not {_shown(value)}")
    return value


def text_of(value: Any, where: str) -> str:
    """Null and absent are empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{where}: expected a string, not {_shown(value)}")
    return encodable(value)


def encodable(value: str) -> str:
    """Half a surrogate pair, which JSON can say and UTF-8 cannot, becomes a question mark."""
    return value.encode("utf-8", "replace").decode()


def nanos(value: Any, where: str) -> int:
    """Microseconds, as a number or in a string, to nanoseconds. Null and absent are 0."""
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_MICROS:
        raise BadInput(f"{where}: expected microseconds, not {_shown(value)}")
    return value * 1000


def id_of(value: Any, size: int, where: str) -> bytes:
    """Hex of at most ``size`` bytes, padded on the left."""
    if not isinstance(value, str) or len(value) > size * 2 or _HEX.match(value) is None:
        raise BadInput(f"{where}: expected up to {size * 2} hex digits, not {_shown(value)}")
    return bytes.fromhex(value.rjust(size * 2, "0"))


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)[:60]
