"""A service under load while its collector is killed, frozen, answers 503 and comes back.

    python -m tests.bench.outage [--rate 150] [--seconds 8] [--queue 2048]

Two processes of the same Starlette service, bare and instrumented by us; each request publishes one
confirmed message to a real RabbitMQ and answers. One client process loads them in turns of one
second at a fixed rate; a request's latency counts from when it was due, so that a stall is paid by
all that wait behind it. Figures are milliseconds: the medians over a phase's turns of each turn's
p50 and p99, and the worst request of all; then memory at the phase's end and spans waiting and
dropped so far. Informative, never a test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from demo_services.broker import dies_with_parent, running_broker

TURN_S = 1.0
VARIANTS = ("bare", "ours")
PHASES = ("up", "killed", "frozen", "503", "restarted")
DRAINED_S = 60.0
"""The longest pause between two tries of ours is half of this."""


@dataclass
class Phase:
    """Latencies in seconds by variant, a list a turn; what the services said at its end."""

    turns: dict[str, list[list[float]]] = field(default_factory=lambda: {v: [] for v in VARIANTS})
    states: dict[str, dict[str, int]] = field(default_factory=dict)


# --- the processes: service, client, collector ------------------------------------------------


def service(variant: str) -> None:
    """Serves on a free port and prints it."""
    if variant == "ours":
        import strayline

        strayline.instrument(service_name="orders")
    import aio_pika
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def main() -> None:
        connection = await aio_pika.connect_robust(os.environ["BENCH_AMQP"])
        async with connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange(f"outage.{variant}", "topic")
            queue = await channel.declare_queue(exclusive=True, arguments={"x-max-length": 100})
            await queue.bind(exchange, "#")

            async def order(request: Request) -> JSONResponse:
                await exchange.publish(aio_pika.Message(b'{"order": 4711}'), "order.created")
                return JSONResponse({"order": 4711})

            async def state(request: Request) -> JSONResponse:
                return JSONResponse({"rss_kb": _rss_kb(), **_spans_left(variant)})

            routes = [Route("/orders", order), Route("/state", state)]
            listener = socket.create_server(("127.0.0.1", 0))
            print(listener.getsockname()[1], flush=True)
            config = uvicorn.Config(Starlette(routes=routes), log_level="warning")
            await uvicorn.Server(config).serve(sockets=[listener])

    asyncio.run(main())


def _rss_kb() -> int:
    """Resident now; where the kernel does not tell, the most so far."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _spans_left(variant: str) -> dict[str, int]:
    if variant == "bare":
        return {"dropped": 0, "waiting": 0}
    from strayline import provider

    sender: Any = provider._sender
    waiting = len(sender._queue) + sender._sending if sender is not None else 0
    return {"dropped": provider.dropped_spans(), "waiting": waiting}


async def client() -> None:
    """For each line ``[url, rate, seconds]`` loads the URL and prints the latencies."""
    import aiohttp

    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:

        async def ask(url: str, due: float) -> float:
            async with session.get(url) as answer:
                assert answer.status == 200
                await answer.read()
            return time.perf_counter() - due

        while line := await loop.run_in_executor(None, sys.stdin.readline):
            url, rate, seconds = json.loads(line)
            began = time.perf_counter()
            asked: list[asyncio.Task[float]] = []
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                asked.append(asyncio.create_task(ask(url, due)))
            print(json.dumps(await asyncio.gather(*asked)), flush=True)


def collector(port: int) -> None:
    """Prints its port; for a line with a number answers with that status from then on, and for
    every other says what came."""
    from tests.support.sink import running_sink

    with running_sink(port) as sink:
        print(sink.endpoint.rpartition(":")[2], flush=True)
        for line in sys.stdin:
            if line.strip().isdigit():
                sink.status = int(line)
            told = [
                json.loads(span.attributes["strayline.census"])["spans_dropped"]
                for span in sink.reports(name="strayline.census")
                if "strayline.census" in span.attributes  # else it tells the topology again
            ]
            came = {"spans": len(sink.spans()) + len(sink.reports()), "told": max(told, default=0)}
            print(json.dumps(came), flush=True)


# --- the parent -----------------------------------------------------------------------------


class Process:
    """A child that answers a line with a line."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.outage", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            preexec_fn=dies_with_parent(),
        )

    def read(self) -> Any:
        assert self.child.stdout is not None
        return json.loads(self.child.stdout.readline())

    def ask(self, line: object) -> Any:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{line}\n")
        self.child.stdin.flush()
        return self.read()

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()


@contextmanager
def _ended(*arguments: str, **environment: str) -> Iterator[Process]:
    process = Process(*arguments, **environment)
    try:
        yield process
    finally:
        process.end()


class Collector:
    """The collector of our service, through all its states on one port."""

    def __init__(self) -> None:
        self.process = Process("--collector", "0")
        self.port = self.process.read()
        self.came = 0
        """Spans that came to those that were killed since."""

    def enter(self, phase: str) -> None:
        if phase == "killed":
            self.kill()
        elif phase == "frozen":
            self._begin()
            self.process.child.send_signal(signal.SIGSTOP)
        elif phase == "503":
            self.process.child.send_signal(signal.SIGCONT)
            self.process.ask(503)
        elif phase == "restarted":
            self.kill()
            self._begin()

    def said(self) -> dict[str, int]:
        """Spans that came to all of them, drops told to the present one."""
        now = self.process.ask("?")
        return {"spans": self.came + now["spans"], "told": now["told"]}

    def kill(self) -> None:
        self.came += self.process.ask("?")["spans"]
        self.process.end()

    def _begin(self) -> None:
        self.process = Process("--collector", str(self.port))
        self.process.read()


def run(rate: int, seconds: float, queue: int) -> None:
    """All phases, one after another, and their table."""
    import httpx

    with ExitStack() as stack:
        url = stack.enter_context(stack.enter_context(running_broker()).vhost())
        collecting = Collector()
        stack.callback(lambda: collecting.process.end())
        environment = {
            "BENCH_AMQP": url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collecting.port}",
            "OTEL_BSP_MAX_QUEUE_SIZE": str(queue),
        }
        services = {v: stack.enter_context(_ended("--service", v, **environment)) for v in VARIANTS}
        at = {v: f"http://127.0.0.1:{process.read()}" for v, process in services.items()}
        loading = stack.enter_context(_ended("--client"))

        def state(variant: str) -> dict[str, int]:
            return httpx.get(f"{at[variant]}/state").json()

        for variant in VARIANTS:  # warms up
            loading.ask(json.dumps([f"{at[variant]}/orders", rate, TURN_S]))
        phases: dict[str, Phase] = {}
        for name in PHASES:
            collecting.enter(name)
            phase = phases[name] = Phase()
            for _ in range(max(1, round(seconds / TURN_S))):
                for variant in VARIANTS:
                    asked = json.dumps([f"{at[variant]}/orders", rate, TURN_S])
                    phase.turns[variant].append(loading.ask(asked))
            phase.states = {variant: state(variant) for variant in VARIANTS}
        before = phases["503"].states["ours"]
        show(phases)
        drained = _wait(lambda: not state("ours")["waiting"], DRAINED_S)
        time.sleep(2)  # what asking made is exported within a second
        said = collecting.said()
        print(
            f"\n{'drained' if drained else 'not drained'}; spans received {said['spans']}, of them "
            f"since the restart {said['spans'] - collecting.came} ({before['waiting']} had waited); "
            f"dropped {state('ours')['dropped']}, told to the collector {said['told']}"
        )


def show(phases: dict[str, Phase]) -> None:
    """The table, ours over bare."""
    print(
        f"{'collector':12}{'bare p50':>10}{'p99':>8}{'worst':>8}{'ours p50':>10}{'p99':>8}"
        f"{'worst':>8}{'ratio p50':>11}{'p99':>7}"
        f"{'bare MB':>10}{'ours MB':>9}{'waiting':>9}{'dropped':>9}"
    )
    for name, phase in phases.items():
        bare50, bare99, bare_worst = _figures(phase.turns["bare"])
        ours50, ours99, ours_worst = _figures(phase.turns["ours"])
        bare, ours = phase.states["bare"], phase.states["ours"]
        print(
            f"{name:12}{bare50:>10.2f}{bare99:>8.2f}{bare_worst:>8.1f}"
            f"{ours50:>10.2f}{ours99:>8.2f}{ours_worst:>8.1f}"
            f"{ours50 / bare50:>11.2f}{ours99 / bare99:>7.2f}"
            f"{bare['rss_kb'] / 1024:>10.1f}{ours['rss_kb'] / 1024:>9.1f}"
            f"{ours['waiting']:>9}{ours['dropped']:>9}"
        )


def _figures(turns: list[list[float]]) -> tuple[float, float, float]:
    """Milliseconds: median over the turns of p50 and of p99, and the worst."""
    percents = [statistics.quantiles(turn, n=100) for turn in turns]
    return (
        statistics.median(percent[49] for percent in percents) * 1000,
        statistics.median(percent[98] for percent in percents) * 1000,
        max(max(turn) for turn in turns) * 1000,
    )


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--queue", type=int, default=2048)
    parser.add_argument("--service", help=argparse.SUPPRESS)
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--collector", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.service:
        service(options.service)
    elif options.client:
        asyncio.run(client())
    elif options.collector is not None:
        collector(options.collector)
    else:
        run(options.rate, options.seconds, options.queue)


if __name__ == "__main__":
    main()
