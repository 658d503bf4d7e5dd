"""What every part of the suite stands on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.instrumentation.amqp.client import CAPABILITIES, Channel, Client

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., None])


class Behaviour:
    """``client`` is set by the class of each library."""

    client: Client

    def on_channel(
        self,
        url: str,
        work: Callable[[Channel], Coroutine[Any, Any, T]],
        *,
        confirms: bool | None = None,
    ) -> T:
        """Runs ``work`` with one channel; with confirms where the library has them, unless told."""
        if confirms is None:
            confirms = "confirms" not in self.client.lacks

        async def with_channel(connection: Any) -> T:
            return await work(await connection.channel(confirms=confirms))

        return self.client.run(url, with_channel)


def needs(*capabilities: str) -> Callable[[Test], Test]:
    """A test of what not every library has; the skip names the driver's reason."""
    assert set(capabilities) <= set(CAPABILITIES)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def guarded(self: Behaviour, *args: Any, **kwargs: Any) -> None:
            assert set(self.client.lacks) <= set(CAPABILITIES)
            for capability in capabilities:
                if capability in self.client.lacks:
                    pytest.skip(f"{self.client.name}: {self.client.lacks[capability]}")
            test(self, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def told(span: ReadableSpan, name: str) -> Any:
    """An attribute of ours, by its short name: ``told(span, "queue")``."""
    attributes = span.attributes or {}
    return attributes.get(f"strayline.{name}", attributes.get(name))


def is_child_and_linked(child: ReadableSpan, parent: ReadableSpan) -> bool:
    """How a single message joins its process span to its publish."""
    return (
        child.parent is not None
        and child.parent.span_id == parent.context.span_id
        and child.context.trace_id == parent.context.trace_id
        and [link.context.span_id for link in child.links] == [parent.context.span_id]
    )
