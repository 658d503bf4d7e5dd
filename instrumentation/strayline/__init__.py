"""Distributed tracing and message stamps for services that talk over REST, gRPC and AMQP.

``import strayline.auto`` instruments every supported library that the application uses;
``instrument()`` does the same on request. Importing this module alone changes nothing and costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from strayline.version import __version__

__all__ = ["__version__", "batch", "instrument", "ordering_key", "uninstrument"]


def instrument(
    service_name: str | None = None,
    *,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    ordering_key: Callable[[str, str, Any], str | None] | None = None,
) -> None:
    """Instruments every supported library, or those named in ``only`` and not in ``exclude``: now
    if the application has imported it, else when it does. Names are those of the shims (``httpx``,
    ``asgi``, ``grpc``, ``aio_pika``, …), of frameworks (``fastapi``) and of OpenTelemetry's
    instrumentations (``aiohttp-client``). Calling it again adds what is missing.
    ``ordering_key(exchange, routing_key, properties)`` names what must stay in order, for every
    publish. Never raises: a service must start whatever becomes of its telemetry.
    """
    from strayline.instrumentor import instrument_libraries

    instrument_libraries(service_name, only, exclude, ordering_key)


def uninstrument() -> None:
    """Takes every shim out again; libraries behave as if never touched."""
    from strayline.instrumentor import uninstrument_libraries

    uninstrument_libraries()


def ordering_key(key: str | int) -> AbstractContextManager[None]:
    """Messages published inside the block with an equal key must be handled one after another,
    in the order of their publishing: ``with strayline.ordering_key(order_id): …``."""
    from strayline.ordering import ordering_key as scoped

    return scoped(str(key))


def batch(messages: Iterable[Any]) -> AbstractContextManager[None]:
    """Around the handling of several AMQP messages at once: ``with strayline.batch(messages): …``
    One span with a link to each message's publish; messages are what the client library gave."""
    from strayline.amqp.batch import Batch

    return Batch(messages)
