"""Instrumentation without a line of code: ``strayline run`` and ``opentelemetry-instrument``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SITE: Final = str(Path(__file__).with_name("site"))
"""The directory whose ``sitecustomize`` Python runs at its start, when it is on ``PYTHONPATH``."""


def environment_of_a_run(
    base: Mapping[str, str],
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    only: str | None = None,
    exclude: str | None = None,
) -> dict[str, str]:
    """The environment in which a program and its children are instrumented. ``endpoint`` is the
    base address for OTLP; ``only`` and ``exclude`` are names of shims, comma-separated."""
    made = dict(base)
    others = [
        part for part in base.get("PYTHONPATH", "").split(os.pathsep) if part not in ("", SITE)
    ]
    made["PYTHONPATH"] = os.pathsep.join([SITE, *others])
    if endpoint is not None:
        made.pop("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None)  # it would win
    for name, value in (
        ("OTEL_SERVICE_NAME", service_name),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("STRAYLINE_INSTRUMENT", only),
        ("STRAYLINE_EXCLUDE", exclude),
    ):
        if value is not None:
            made[name] = value
    return made
