"""What ``opentelemetry-instrument`` finds by entry points: a distro, a configurator, and a last
step that puts our shims on, whichever distro and configurator were chosen.

Where a shim and one of OpenTelemetry's instrumentations do the same, the shim does it: our distro
does not load the other, and beside another distro it is taken off again.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from opentelemetry.instrumentation.distro import BaseDistro

import strayline
from strayline.guard import survived
from strayline.instrumentor import chosen, covers
from strayline.settings import Settings

_CONFIGURATOR: Final = "OTEL_PYTHON_CONFIGURATOR"
_NAME: Final = "strayline"
_ADOPTED: Final = frozenset({"celery"})
"""Left to OpenTelemetry's instrumentation, whose spans our shim adopts where the broker speaks
AMQP: with another broker they are the only ones."""


class Distro(BaseDistro):
    """Chooses our configurator, unless one is named, and leaves to our shims what they cover."""

    chose_configurator: bool = False

    def _configure(self, **kwargs: Any) -> None:
        if _CONFIGURATOR not in os.environ:
            os.environ[_CONFIGURATOR] = _NAME
            Distro.chose_configurator = True

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        if not _is_covered(entry_point.name):
            super().load_instrumentor(entry_point, **kwargs)


class Configurator:
    """Puts our provider in place at once, so that instrumentations that are not ours export by it
    too. An application can still set its own."""

    def configure(self, **_: Any) -> None:
        if Distro.chose_configurator:
            os.environ.pop(_CONFIGURATOR, None)  # not for programs that this one starts
        if not Settings.read().disabled:
            from strayline.provider import tracer

            tracer("report")


def post_instrument() -> None:
    """Takes off what another distro has put on where a shim covers it, and puts the shims on."""
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        if entry_point.module in sys.modules and _is_covered(entry_point.name):
            with survived(f"taking off OpenTelemetry's {entry_point.name}"):
                instrumentor = entry_point.load()()
                if instrumentor.is_instrumented_by_opentelemetry:
                    instrumentor.uninstrument()
    strayline.instrument()


def _is_covered(name: str) -> bool:
    if name in _ADOPTED:
        return False
    return covers(name) in {shim.name for shim in chosen(None, None, Settings.read())}
