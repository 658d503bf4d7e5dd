"""The instrumentations. Add one here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Shim:
    """One library's instrumentation: a module with ``on()`` and ``off()``, imported on use."""

    name: str
    library: str
    module: str

    def on(self) -> None:
        self._call("on")

    def off(self) -> None:
        self._call("off")

    def _call(self, function: str) -> None:
        action: Callable[[], Any] = getattr(import_module(self.module), function)
        action()


SHIMS: Final = (
    Shim("httpx", "httpx", "strayline.shims.httpx"),
    Shim("asgi", "starlette", "strayline.shims.asgi"),
    Shim("grpc", "grpc", "strayline.shims.grpc"),
    Shim("aio_pika", "aiormq", "strayline.shims.aio_pika"),
)
