"""The instrumentations. Add one here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Shim:
    """One library's instrumentation: a module with ``on()`` and ``off()``.

    Nothing is imported before the application imports ``library``, or one of ``watches`` where a
    part of it is what matters (``starlette.applications``) or another library builds on it
    (``aio_pika`` on ``aiormq``): ``on()`` runs once, as soon as one of them is loaded and none is
    half loaded. ``aliases`` are what else the shim is called in ``only`` and ``exclude``: the
    frameworks it serves, and the names of OpenTelemetry's instrumentations for them.
    """

    name: str
    library: str
    module: str
    watches: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def watched(self) -> tuple[str, ...]:
        """The modules whose loading calls for this shim."""
        return self.watches or (self.library,)

    def on(self) -> None:
        self._call("on")

    def off(self) -> None:
        self._call("off")

    def _call(self, function: str) -> None:
        action: Callable[[], Any] = getattr(import_module(self.module), function)
        action()


SHIMS: Final = (
    Shim("httpx", "httpx", "strayline.shims.httpx"),
    Shim(
        "asgi",
        "starlette",
        "strayline.shims.asgi",
        watches=("starlette.applications", "fastapi"),
        aliases=("fastapi", "starlette"),
    ),
    Shim("requests", "requests", "strayline.shims.requests"),
    Shim("aiohttp", "aiohttp", "strayline.shims.aiohttp", aliases=("aiohttp_client",)),
    Shim("flask", "flask", "strayline.shims.flask"),
    Shim(
        "django",
        "django",
        "strayline.shims.django",
        watches=("django.core.handlers.wsgi", "django.core.handlers.asgi"),
    ),
    Shim(
        "grpc",
        "grpc",
        "strayline.shims.grpc",
        aliases=("grpc_client", "grpc_server", "grpc_aio_client", "grpc_aio_server", "grpcio"),
    ),
    Shim(
        "aio_pika",
        "aiormq",
        "strayline.shims.aio_pika",
        watches=("aiormq", "aio_pika"),
        aliases=("aiormq", "faststream"),
    ),
    Shim("py_amqp", "amqp", "strayline.shims.py_amqp", aliases=("amqp", "kombu", "celery")),
    Shim("pika", "pika", "strayline.shims.pika"),
)
