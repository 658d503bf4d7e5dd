"""What aio-pika's own tests do: work on a channel, publish some, look at the current span."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
from opentelemetry import trace


def on_channel(
    url: str,
    work: Callable[[Any], Awaitable[Any]],
    *,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **options: Any,
) -> Any:
    """Runs ``work`` with a channel of its own connection."""

    async def main() -> Any:
        connection = await aio_pika.connect_robust(url)
        async with connection:
            return await asyncio.wait_for(work(await connection.channel(**options)), 30)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


async def send(channel: Any, *bodies: bytes, key: str = "work") -> None:
    for body in bodies:
        await channel.default_exchange.publish(aio_pika.Message(body), key)


def current() -> int:
    return trace.get_current_span().get_span_context().span_id
