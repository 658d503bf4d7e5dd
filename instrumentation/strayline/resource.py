"""Who sends: the resource attributes of this process, as OpenTelemetry's variables say it."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from strayline.conventions import HOST_NAME, PROCESS_PID, SERVICE_INSTANCE_ID, SERVICE_NAME
from strayline.guard import log, survived
from strayline.version import __version__

_service_name: str | None = None
_attributes: Mapping[str, Any] | None = None


def set_service_name(name: str) -> None:
    """Said in code it wins over the environment."""
    global _service_name, _attributes
    _service_name = name
    _attributes = None


def attributes() -> Mapping[str, Any]:
    """This process's resource. Another one after a fork, when instance and pid are others."""
    global _attributes
    found = _attributes
    if found is None or found[PROCESS_PID] != os.getpid():
        forked = found is not None and found[PROCESS_PID] != os.getpid()
        made = _read()
        if forked or SERVICE_INSTANCE_ID not in made:
            made[SERVICE_INSTANCE_ID] = str(uuid.uuid4())
        elif found is not None:
            made[SERVICE_INSTANCE_ID] = found[SERVICE_INSTANCE_ID]
        found = _attributes = made
    return found


def _read() -> dict[str, Any]:
    made: dict[str, Any] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "strayline",
        "telemetry.sdk.version": __version__,
        HOST_NAME: socket.gethostname(),
        PROCESS_PID: os.getpid(),
    }
    if os.environ.get("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "").strip():
        with survived("detecting resource attributes"):
            from opentelemetry.sdk.resources import Resource

            made = {**Resource.create({}).attributes, **made}
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, equals, value = pair.partition("=")
        if name.strip() and equals:
            made[name.strip()] = unquote(value.strip())
        elif pair.strip():
            log.warning("OTEL_RESOURCE_ATTRIBUTES: %r is not name=value; it is left out", pair)
    made[SERVICE_NAME] = (
        _service_name
        or os.environ.get("OTEL_SERVICE_NAME", "").strip()
        or made.get(SERVICE_NAME)
        or "unknown_service"
    )
    return made
