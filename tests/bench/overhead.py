"""What instrumentation costs a service: bare, OpenTelemetry contrib, ours, side by side.

    python -m tests.bench.overhead [--rounds 15] [--only amqp,http,grpc,grpc_aio]

Each variant is a process of its own that does the same work on a real RabbitMQ (or in itself, for
HTTP and gRPC), with its exporter sending to a process that discards. The variants take turns,
round by round. A figure is the CPU of the whole process, export and flush included, per message
published and consumed or per call; the median over the rounds, and the least. Contrib has the
stock batch processor and OTLP/HTTP exporter. Informative, never a test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo_services.broker import running_broker

VARIANTS = ("bare", "contrib", "ours", "ours, application's SDK provider")
COUNTS = {"amqp": 2000, "http": 2000, "grpc": 2000, "grpc_aio": 2000}


@dataclass
class Figures:
    """CPU microseconds an operation, a list of rounds for each variant."""

    rounds: dict[str, list[float]]

    def added(self, variant: str) -> tuple[float, float]:
        """Median and least over the rounds of what a variant adds to bare in the same round."""
        pairs = zip(self.rounds[variant], self.rounds["bare"], strict=True)
        return (
            statistics.median(with_it - bare for with_it, bare in pairs),
            min(self.rounds[variant]) - min(self.rounds["bare"]),
        )


# --- a worker: one variant of one subject ---------------------------------------------------


def instrument(variant: str) -> Callable[[], object]:
    """Switches a variant on; returns what flushes its exporter."""
    if variant == "bare":
        return lambda: None
    if variant == "ours":
        import strayline
        from strayline.provider import flush

        strayline.instrument(service_name="bench")
        return flush
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=100_000))
    trace.set_tracer_provider(provider)
    if variant == "contrib":
        from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor
        from opentelemetry.instrumentation.grpc import (
            GrpcAioInstrumentorClient,
            GrpcAioInstrumentorServer,
            GrpcInstrumentorClient,
            GrpcInstrumentorServer,
        )
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        from opentelemetry.instrumentation.starlette import StarletteInstrumentor

        for instrumentor in (
            AioPikaInstrumentor, HTTPXClientInstrumentor, StarletteInstrumentor, GrpcInstrumentorClient,
            GrpcInstrumentorServer, GrpcAioInstrumentorClient, GrpcAioInstrumentorServer,
        ):  # fmt: skip
            instrumentor().instrument()
    else:
        import strayline

        strayline.instrument()
    return provider.force_flush


async def amqp(count: int, rounds: Callable[[], Awaitable[bool]]) -> None:
    """Publishes with confirms in bursts of 50 and consumes with a prefetch of 100, acking each."""
    import aio_pika

    connection = await aio_pika.connect_robust(os.environ["BENCH_AMQP"])
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(100)
        exchange = await channel.declare_exchange("bench.events", "topic")
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "order.*")
        handled = 0
        done = asyncio.Event()

        async def handle(message: Any) -> None:
            nonlocal handled
            await message.ack()
            handled += 1
            if handled == count:
                done.set()

        await queue.consume(handle)
        body = b'{"order": 4711, "items": [1, 2, 3]}'
        while await rounds():
            handled = 0
            done.clear()
            for _ in range(count // 50):
                await asyncio.gather(
                    *(exchange.publish(aio_pika.Message(body), "order.created") for _ in range(50))
                )
            await done.wait()


async def http(count: int, rounds: Callable[[], Awaitable[bool]]) -> None:
    """httpx to a Starlette application in the same process, no network between."""
    import httpx
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/items/{item}", hello)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop:8000") as client:
        while await rounds():
            for number in range(count):
                assert (await client.get(f"/items/{number % 10}?page=1")).status_code == 200


async def grpc_sync(count: int, rounds: Callable[[], Awaitable[bool]]) -> None:
    """Unary calls over loopback, thread-pool server and client in one process."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    handler = grpc.method_handlers_generic_handler(
        "shop.Stock", {"Reserve": grpc.unary_unary_rpc_method_handler(lambda request, context: request)},
    )  # fmt: skip
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/shop.Stock/Reserve")
        while await rounds():
            for _ in range(count):
                call(b"x")
    server.stop(None).wait()


async def grpc_aio(count: int, rounds: Callable[[], Awaitable[bool]]) -> None:
    """Unary calls over loopback, asyncio server and client in one process."""
    import grpc
    import grpc.aio

    async def reserve(request: bytes, context: Any) -> bytes:
        return request

    handler = grpc.method_handlers_generic_handler(
        "shop.Stock", {"Reserve": grpc.unary_unary_rpc_method_handler(reserve)}
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/shop.Stock/Reserve")
        while await rounds():
            for _ in range(count):
                await call(b"x")
    await server.stop(None)


SUBJECTS: dict[str, Callable[[int, Callable[[], Awaitable[bool]]], Awaitable[None]]] = {
    "amqp": amqp, "http": http, "grpc": grpc_sync, "grpc_aio": grpc_aio,
}  # fmt: skip


def worker(subject: str, variant: str) -> None:
    """Does a round for each line of standard input and prints its CPU seconds."""
    count = COUNTS[subject]
    flush = instrument(variant)
    began: float | None = None

    async def rounds() -> bool:
        nonlocal began
        if began is not None:
            await asyncio.get_running_loop().run_in_executor(None, flush)
            print(time.process_time() - began, flush=True)
        line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        began = time.process_time()
        return bool(line.strip())

    asyncio.run(SUBJECTS[subject](count, rounds))  # type: ignore[arg-type]


# --- the parent -----------------------------------------------------------------------------


class _Discards(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        return None


def discard() -> None:
    """A collector that keeps nothing, as a process of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Discards)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def _process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.overhead", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def measure(subject: str, rounds: int, environment: dict[str, str]) -> Figures:
    """All variants of a subject, a round of each in turn. The first round warms up."""
    figures = Figures({variant: [] for variant in VARIANTS})
    from contextlib import ExitStack

    with ExitStack() as stack:
        workers = {
            variant: stack.enter_context(
                _process("--worker", json.dumps([subject, variant]), **environment)
            )
            for variant in VARIANTS
        }
        for number in range(rounds + 1):
            for variant, child in workers.items():
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write("go\n")
                child.stdin.flush()
                seconds = float(child.stdout.readline())
                if number:
                    figures.rounds[variant].append(seconds / COUNTS[subject] * 1e6)
    return figures


def show(subject: str, figures: Figures) -> None:
    """The table of one subject."""
    contrib, contrib_least = figures.added("contrib")
    print(f"\n{subject:34}{'CPU µs':>9}{'added':>9}{'least':>9}{'of contrib':>12}{'least':>8}")
    for variant in VARIANTS:
        total = statistics.median(figures.rounds[variant])
        added, least = figures.added(variant)
        print(
            f"{variant:34}{total:>9.0f}{added:>9.1f}{least:>9.1f}"
            f"{added / contrib:>12.2f}{least / contrib_least:>8.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="amqp,http,grpc,grpc_aio")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--discard", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*json.loads(options.worker))
        return
    if options.discard:
        discard()
        return
    subjects = options.only.split(",")
    with _process("--discard") as sink:
        assert sink.stdout is not None
        endpoint = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        for subject in subjects:
            if subject == "amqp":
                with running_broker() as broker, broker.vhost() as url:
                    show(subject, measure(subject, options.rounds, {**environment, "BENCH_AMQP": url}))  # fmt: skip
            else:
                show(subject, measure(subject, options.rounds, environment))


if __name__ == "__main__":
    main()
