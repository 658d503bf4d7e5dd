"""aio-pika: the suite, and what only it does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import aio_pika
import pytest
import uvloop
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.patterns import RPC, Master
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from demo_services.broker import Broker
from tests.instrumentation.amqp.aio_pika_programs import current, on_channel, send
from tests.instrumentation.amqp.behaviour.base import is_child_and_linked, told
from tests.instrumentation.amqp.drivers.aio_pika import AioPika
from tests.instrumentation.amqp.drivers.aiormq import holds
from tests.instrumentation.amqp.suite import AmqpSuite
from tests.instrumentation.conftest import Spans

pytestmark = pytest.mark.broker


class TestAioPika(AmqpSuite):
    client = AioPika()


@pytest.mark.parametrize("fails", [False, True])
def test_process_settles_inside_the_handling(vhost: str, spans: Spans, fails: bool) -> None:
    async def work(channel: Any) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: None)
        queue = await channel.declare_queue("work")

        async def handle(message: AbstractIncomingMessage) -> None:
            async with message.process():
                if fails:
                    raise ValueError("broken")

        await queue.consume(handle)
        await send(channel, b"x")
        await holds(lambda: spans("process work"))

    on_channel(vhost, work)
    (process,) = spans("process work")
    assert told(process, "settlement") == ("reject_drop" if fails else "ack")
    assert (process.status.status_code is StatusCode.ERROR) == fails


def test_an_unroutable_publish_is_returned_by_default_and_raises_where_asked_to(
    vhost: str, spans: Spans
) -> None:
    async def quiet(channel: Any) -> None:
        await send(channel, b"x", key="nowhere")

    async def loud(channel: Any) -> None:
        with pytest.raises(aio_pika.exceptions.DeliveryError):
            await send(channel, b"x", key="nowhere")

    on_channel(vhost, quiet)
    on_channel(vhost, loud, on_return_raises=True)
    published = spans("publish nowhere")
    assert [told(span, "outcome") for span in published] == ["returned", "returned"]
    assert [told(span, "error.type") for span in published] == ["returned", "PublishError"]


def test_a_transaction_block_commits_or_rolls_back(vhost: str, spans: Spans) -> None:
    async def fails(channel: Any) -> None:
        async with channel.transaction():
            await send(channel, b"3")
            raise ValueError("no")

    async def work(channel: Any) -> None:
        await channel.declare_queue("work")
        async with channel.transaction():
            await send(channel, b"1", b"2")
        with pytest.raises(ValueError, match="no"):
            await fails(channel)

    on_channel(vhost, work, publisher_confirms=False)
    outcomes = [told(span, "outcome") for span in spans("publish work")]
    assert outcomes == ["committed", "committed", "rolled_back"]


def test_the_rpc_pattern_is_one_trace(vhost: str, spans: Spans) -> None:
    async def work(channel: Any) -> None:
        rpc = await RPC.create(channel)

        async def double(number: int) -> int:
            return 2 * number

        await rpc.register("double", double, auto_delete=True)
        with trace.get_tracer("app").start_as_current_span("asked"):
            assert await rpc.proxy.double(number=21) == 42
        await rpc.close()

    on_channel(vhost, work)
    (asked,) = spans("asked")
    call = [s for s in spans(messaging__system="rabbitmq") if "publish" in s.name]
    handled = spans(messaging__operation__type="process")
    assert len(call) == len(handled) == 2
    assert {s.context.trace_id for s in (*call, *handled)} == {asked.context.trace_id}


def test_the_master_pattern_hands_work_on(vhost: str, spans: Spans) -> None:
    done: list[int] = []

    async def work(channel: Any) -> None:
        master = Master(channel)

        async def worker(*, number: int) -> None:
            done.append(number)

        await master.create_worker("work", worker, auto_delete=True)
        await master.create_task("work", {"number": 7})
        await holds(lambda: spans("process work"))

    on_channel(vhost, work)
    assert done == [7]
    (publish,), (process,) = spans("publish work"), spans("process work")
    assert is_child_and_linked(process, publish)
    assert told(process, "settlement") == "ack"


def test_after_a_reconnect_consumers_and_loops_go_on_by_channels_numbered_anew(
    broker: Broker, vhost: str, spans: Spans
) -> None:
    seen: list[bytes] = []
    looped: list[bytes] = []

    def connections() -> list[str]:
        name = vhost.rpartition("/")[2]
        return [c["name"] for c in broker.api("GET", f"/vhosts/{name}/connections").json()]

    async def main() -> None:
        connection = await aio_pika.connect_robust(vhost, reconnect_interval=0.05)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("work")
            other = await channel.declare_queue("loop")

            async def handle(message: AbstractIncomingMessage) -> None:
                await message.ack()
                seen.append(message.body)

            async def loop() -> None:
                async with other.iterator() as messages:
                    async for message in messages:
                        await message.ack()
                        looped.append(message.body)
                        if message.body == b"2":
                            return

            await queue.consume(handle)
            task = asyncio.create_task(loop())
            await send(channel, b"1")
            await send(channel, b"1", key="loop")
            await holds(lambda: seen and looped)
            reconnected = asyncio.Event()
            connection.reconnect_callbacks.add(lambda *_: reconnected.set())
            async with asyncio.timeout(30):
                while not (found := await asyncio.to_thread(connections)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # the management's list lags
                for name in found:
                    await asyncio.to_thread(broker.api, "DELETE", f"/connections/{name}")
                await reconnected.wait()
                await channel.ready()
                await send(channel, b"2")
                await send(channel, b"2", key="loop")
                await task
                await holds(lambda: b"2" in seen)

    asyncio.run(main())
    for name in ("work", "loop"):
        first, second = spans(f"process {name}")[0], spans(f"process {name}")[-1]
        assert told(first, "channel") != told(second, "channel")
        assert told(second, "messaging.rabbitmq.message.delivery_tag") <= 2
        publishes = spans(f"publish {name}")
        assert told(publishes[0], "channel") == told(first, "channel")
        assert told(publishes[-1], "channel") == told(second, "channel")
        assert told(publishes[-1], "stamp") == told(second, "stamp")


def test_a_publish_that_is_cancelled_has_an_unknown_outcome(vhost: str, spans: Spans) -> None:
    async def work(channel: Any) -> None:
        await channel.declare_queue("work")
        task = asyncio.create_task(send(channel, b"x"))
        await asyncio.sleep(0)  # written, not yet confirmed
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await send(channel, b"y")

    on_channel(vhost, work)
    cancelled, after = spans("publish work")
    assert told(cancelled, "outcome") == "unknown"
    assert told(cancelled, "error.type") == "CancelledError"
    assert told(after, "outcome") == "confirmed"
    assert [str(told(span, "stamp")).split(".")[3] for span in (cancelled, after)] == ["1", "2"]


def test_publishes_from_many_tasks_are_numbered_as_they_are_written(
    vhost: str, spans: Spans
) -> None:
    bodies = [b"%d" % number for number in range(50)]

    async def work(channel: Any) -> list[str]:
        queue = await channel.declare_queue("work")
        await asyncio.gather(*(send(channel, body) for body in bodies))
        return [str((await queue.get(no_ack=True)).headers["x-strayline"]) for _ in bodies]

    stamps = on_channel(vhost, work)
    assert [int(stamp.split(".")[3]) for stamp in stamps] == list(range(1, 51))


def test_two_loops_in_two_threads_trace_their_own(vhost: str, spans: Spans) -> None:
    errors: list[BaseException] = []

    def service(name: str) -> None:
        async def work(channel: Any) -> None:
            queue = await channel.declare_queue(name)
            done = 0

            async def handle(message: AbstractIncomingMessage) -> None:
                nonlocal done
                await message.ack()
                done += 1

            await queue.consume(handle)
            for _ in range(20):
                await send(channel, b"x", key=name)
            await holds(lambda: done == 20)

        try:
            on_channel(vhost, work)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=service, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    channels: list[Any] = []
    for name in ("one", "two"):
        published = {told(s, "stamp"): s for s in spans(f"publish {name}")}
        handled = spans(f"process {name}")
        assert len(published) == len(handled) == 20
        assert all(is_child_and_linked(s, published[told(s, "stamp")]) for s in handled)
        channels += {told(s, "channel") for s in handled}
    assert len(set(channels)) == 2


def test_uvloop_is_as_good_as_asyncio(vhost: str, spans: Spans) -> None:
    async def work(channel: Any) -> None:
        queue = await channel.declare_queue("work")
        await send(channel, b"1", b"2")
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    await send(channel, message.body, key="onward")
                if message.body == b"2":
                    break

    on_channel(vhost, work, loop=uvloop.new_event_loop)
    handled = {s.context.span_id for s in spans("process work")}
    onward = spans("publish onward")
    assert len(handled) == 2
    assert {s.parent.span_id for s in onward if s.parent} == handled


def test_a_sync_callback_is_handled_in_a_span_of_its_own(vhost: str, spans: Spans) -> None:
    inside: list[int] = []

    async def work(channel: Any) -> None:
        queue = await channel.declare_queue("work")

        def handle(message: AbstractIncomingMessage) -> None:
            inside.append(current())

        with pytest.warns(DeprecationWarning, match="non-coroutine"):
            await queue.consume(handle, no_ack=True)
        await send(channel, b"x")
        await holds(lambda: spans("process work"))

    with pytest.warns(DeprecationWarning, match="non awaitable"):
        on_channel(vhost, work)
    (process,) = spans("process work")
    assert inside == [process.context.span_id]
