"""aio-pika's loops: the handling is the loop's body, however the loop is left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from tests.instrumentation.amqp.aio_pika_programs import current, on_channel, send
from tests.instrumentation.amqp.behaviour.base import told
from tests.instrumentation.amqp.drivers.aiormq import holds
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker


class TestLoops:
    """``async for`` over a queue, however it is left."""

    def test_an_exception_in_the_loop_is_the_handlings(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"x")

            async def consume() -> None:
                async with queue.iterator() as messages:
                    async for message in messages:
                        async with message.process(requeue=False):
                            raise ValueError("broken")

            with pytest.raises(ValueError, match="broken"):
                await consume()
            assert not trace.get_current_span().is_recording()

        on_channel(vhost, work)
        (process,) = spans("process work")
        assert told(process, "settlement") == "reject_drop"
        assert told(process, "error.type") == "ValueError"

    def test_an_exception_caught_in_the_loop_is_not(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"1", b"2")
            async with queue.iterator() as messages:
                async for message in messages:
                    try:
                        raise ValueError("broken")
                    except ValueError:
                        await message.ack()
                    if message.body == b"2":
                        return

        on_channel(vhost, work)
        assert [span.status.status_code for span in spans("process work")] == [StatusCode.UNSET] * 2

    def test_a_bare_loop_that_is_left_ends_with_its_task(self, vhost: str, spans: Spans) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"x")

            async def consume() -> None:
                async for message in queue:
                    await message.ack()
                    break
                assert spans("process work") == []

            await asyncio.create_task(consume())
            await holds(lambda: spans("process work"))

        on_channel(vhost, work)
        (process,) = spans("process work")
        assert told(process, "settlement") == "ack"

    def test_a_task_that_dies_in_a_bare_loop_ends_its_handling_with_the_error(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"x")

            async def consume() -> None:
                async for _ in queue:
                    raise ValueError("broken")

            (error,) = await asyncio.gather(consume(), return_exceptions=True)
            assert isinstance(error, ValueError)
            await holds(lambda: spans("process work"))

        on_channel(vhost, work)
        (process,) = spans("process work")
        assert told(process, "error.type") == "ValueError"

    def test_a_handler_that_is_cancelled_in_the_loop_says_so(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"x")
            begun = asyncio.Event()

            async def consume() -> None:
                async with queue.iterator() as messages:
                    async for _ in messages:
                        begun.set()
                        await asyncio.Event().wait()

            task = asyncio.create_task(consume())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        on_channel(vhost, work)
        (process,) = spans("process work")
        assert told(process, "error.type") == "CancelledError"

    def test_an_iterators_timeout_ends_the_handling_before_it(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"x")

            async def consume() -> None:
                async with queue.iterator(timeout=0.05) as messages:
                    async for message in messages:
                        await message.ack()

            with pytest.raises(asyncio.TimeoutError):
                await consume()
            assert len(spans("process work")) == 1

        on_channel(vhost, work)
        (process,) = spans("process work")
        assert process.status.status_code is StatusCode.UNSET

    def test_waiting_for_the_next_message_with_a_timeout_is_the_same_loop(
        self, vhost: str, spans: Spans
    ) -> None:
        """``wait_for`` of Python 3.11 awaits in a task of its own."""
        inside: list[int] = []

        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"1", b"2")
            async with queue.iterator() as messages:
                for _ in range(2):
                    message = await asyncio.wait_for(anext(messages), 5)
                    async with message.process():
                        inside.append(current())
                        await asyncio.sleep(0.005)
            assert not trace.get_current_span().is_recording()

        on_channel(vhost, work)
        handled = spans("process work")
        assert [span.context.span_id for span in handled] == inside
        assert [told(span, "settlement") for span in handled] == ["ack", "ack"]
        first, second = handled
        assert first.end_time is not None
        assert second.start_time is not None
        assert first.start_time is not None
        assert first.end_time - first.start_time >= 5_000_000
        assert first.end_time <= second.start_time

    def test_several_tasks_on_one_iterator_handle_each_their_own(
        self, vhost: str, spans: Spans
    ) -> None:
        inside: dict[bytes, int] = {}

        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            both = asyncio.Barrier(2)
            async with queue.iterator() as messages:

                async def consume() -> None:
                    async for message in messages:
                        await both.wait()
                        inside[message.body] = current()
                        await message.ack()
                        await both.wait()
                        assert inside[message.body] == current()
                        break

                tasks = [asyncio.create_task(consume()) for _ in range(2)]
                await send(channel, b"1", b"2")
                await asyncio.gather(*tasks)
                await holds(lambda: len(spans("process work")) == 2)

        on_channel(vhost, work)
        handled = spans("process work")
        assert {span.context.span_id for span in handled} == set(inside.values())
        assert len(inside) == 2

    def test_what_is_prefetched_and_given_back_was_never_handled(
        self, vhost: str, spans: Spans
    ) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue("work")
            await send(channel, b"1", b"2", b"3")
            async with queue.iterator() as messages:
                async for message in messages:
                    # the others are in the buffer by now
                    await holds(lambda: messages._queue.qsize() == 2)
                    await message.ack()
                    break

        on_channel(vhost, work)
        assert len(spans("process work")) == 1
        assert not spans(messaging__operation__type="settle")
