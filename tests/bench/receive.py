"""What a collector process costs per span and per request, from the wire to the store.

    python -m tests.bench.receive [--seconds 8] [--only http,grpc,single,half,fresh,memory] [--rotel FILE]

A real ``strayline collector`` with a file, loaded by processes of its own over raw sockets (HTTP)
and grpc (gRPC) with encoded bodies. What counts is the collector's CPU time (``/proc/PID/stat``),
until everything acknowledged is in the store: on a shared machine wall clock measures the
neighbours. ``STRAYLINE_DECODER=python`` runs it on the reference decoder. ``--rotel`` names the program
``rotel-agent`` (PyPI, rotel), a collector in Rust that stores nothing, which then takes the same loads.
Informative, never a test.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import peak_mib

SPANS = 512
BACK_OFF_S = 0.5
LOADS = (("http", "http", SPANS, 8), ("grpc", "grpc", SPANS, 8), ("single", "http", 1, 32))
"""Name, door, spans a request, connections."""
TICKS = os.sysconf("SC_CLK_TCK")


def request(spans: int, seed: int) -> bytes:
    """Spans of an HTTP service with ten attributes each, about 495 bytes a span."""
    rng = random.Random(seed)
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    for key, value in (
        ("service.name", "shop"),
        ("host.name", "bench"),
        ("service.instance.id", "i-1"),
    ):
        resource_spans.resource.attributes.add(key=key).value.string_value = value
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "bench"
    now = time.time_ns()
    trace_id = rng.randbytes(16)
    for number in range(spans):
        if number % 8 == 0:
            trace_id = rng.randbytes(16)
        span = scope_spans.spans.add(
            trace_id=trace_id,
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8),
            name=f"GET /orders/{number % 20}",
            kind=2 + number % 2,
            start_time_unix_nano=now + number,
            end_time_unix_nano=now + number + rng.randrange(10**6, 10**8),
        )
        for key, value in (
            ("http.request.method", "GET"),
            ("http.route", "/orders/{id}"),
            ("url.path", f"/orders/{rng.randrange(10**6)}"),
            ("url.scheme", "https"),
            ("server.address", "shop.internal"),
            ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            ("client.address", f"10.0.{rng.randrange(256)}.{rng.randrange(256)}"),
            ("enduser.id", f"user-{rng.randrange(10**5)}"),
        ):
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="server.port").value.int_value = 8443
    return message.SerializeToString()


# -- the clients, in a process of their own


def client(kind: str, address: str, spans: int, seconds: float, threads: int, rate: float) -> None:
    """Sends for a while; prints requests, and the latencies' quantiles in milliseconds."""
    bodies = [request(spans, seed) for seed in range(8)]
    latencies: list[float] = []
    failures = 0
    stop = time.monotonic() + seconds

    def work(number: int) -> None:
        nonlocal failures
        send = _http(address) if kind == "http" else _grpc(address)
        pause = threads / rate if rate else 0.0
        due = time.monotonic() + pause * number / threads
        while (now := time.monotonic()) < stop:
            if pause:
                if due > now:
                    time.sleep(due - now)
                started, due = due, due + pause  # an open loop: waiting in line counts
            else:
                started = now
            if send(bodies[int(started * 1000) % len(bodies)]):
                latencies.append(time.monotonic() - started)
            else:
                failures += 1

    if kind == "http" and not rate:
        latencies, failures = _closed_loop(address, bodies, threads, stop)
        threads = 0
    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    latencies.sort()
    print(
        json.dumps(
            {
                "requests": len(latencies),
                "failures": failures,
                **{
                    f"p{q}": 1000
                    * latencies[min(len(latencies) - 1, int(len(latencies) * q / 100))]
                    for q in (50, 99)
                },
            }
        )
    )


def _closed_loop(
    address: str, bodies: list[bytes], connections: int, stop: float
) -> tuple[list[float], int]:
    """Each connection sends its next request when the last was taken, and after ``BACK_OFF_S`` when
    it was refused; one thread for all, since threads would take the cores that the collector is
    measured on."""
    whole = [_posted(body) for body in bodies]
    selector = selectors.DefaultSelector()
    started: dict[socket.socket, float] = {}
    latencies: list[float] = []
    refused: list[tuple[float, socket.socket]] = []
    failures = 0

    def send(connection: socket.socket) -> None:
        started[connection] = time.monotonic()
        connection.sendall(whole[len(latencies) % len(whole)])

    for _ in range(connections):
        connection = _connected(address)
        selector.register(connection, selectors.EVENT_READ)
        send(connection)
    while (now := time.monotonic()) < stop:
        while refused and refused[0][0] <= now:
            send(refused.pop(0)[1])
        for key, _ in selector.select(0.1 if refused else 1.0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answer = connection.recv(4096)
            now = time.monotonic()
            if answer.startswith(b"HTTP/1.1 200"):
                latencies.append(now - started[connection])
                send(connection)
            else:
                assert answer.startswith(b"HTTP/1.1 503"), answer
                failures += 1
                refused.append((now + BACK_OFF_S, connection))
    return latencies, failures


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _posted(body: bytes) -> bytes:
    head = (
        b"POST /v1/traces HTTP/1.1\r\nhost: bench\r\nuser-agent: bench\r\n"
        b"content-type: application/x-protobuf\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    return head + body


def _http(address: str) -> Any:
    connection = _connected(address)

    def send(body: bytes) -> bool:
        connection.sendall(_posted(body))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        return answer.startswith(b"HTTP/1.1 200")

    return send


def _grpc(address: str) -> Any:
    import grpc

    channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
    export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

    def send(body: bytes) -> bool:
        try:
            return export(body) == b""
        except grpc.RpcError:
            return False

    return send


# -- the measuring side


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def loaded(collector: RunningCollector) -> None:
    """Returns once everything acknowledged is in the store."""
    while collector.get("/api/v1/status")["ingest"]["journal_lag_bytes"]:
        time.sleep(0.1)


def run(
    collector: RunningCollector,
    kind: str,
    *,
    spans: int,
    seconds: float,
    threads: int,
    rate: float = 0,
) -> dict[str, float]:
    """One load; the collector's CPU seconds beside what the clients saw."""
    address = collector.otlp_http if kind == "http" else collector.otlp_grpc
    before = cpu_s(collector.process.pid)
    found = sent(kind, address, spans, seconds, threads, rate)
    loaded(collector)
    found["cpu_s"] = cpu_s(collector.process.pid) - before
    return found


def sent(
    kind: str, address: str, spans: int, seconds: float, threads: int, rate: float = 0
) -> dict[str, float]:
    """What clients in a process of their own saw."""
    arguments = [kind, address, str(spans), str(seconds), str(threads), str(rate)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.receive", "--client", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def rotel(program: str, seconds: float) -> None:
    """The same loads taken by rotel, which decodes them and throws them away."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = {
            door: f"127.0.0.1:{free.getsockname()[1]}"
            for door, free in (("http", one), ("grpc", two))
        }
    arguments = ["start", "--exporter", "blackhole", "--otlp-http-endpoint", ports["http"]]
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(
            [program, *arguments, "--otlp-grpc-endpoint", ports["grpc"]],
            cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process,
    ):  # fmt: skip
        try:
            for address in ports.values():
                answering(address)
            for _, kind, spans, threads in LOADS:
                before = cpu_s(process.pid)
                found = sent(kind, ports[kind], spans, seconds, threads)
                tell("rotel, ", kind, spans, found, cpu_s(process.pid) - before, seconds)
            print(f"rotel, peak RSS {peak_mib(process):,.0f} MiB")
        finally:
            process.terminate()


def answering(address: str) -> None:
    """Returns once somebody listens there."""
    deadline = time.monotonic() + 10
    while True:
        try:
            _connected(address).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def tell(
    who: str, kind: str, spans: int, found: dict[str, float], spent_s: float, seconds: float
) -> None:
    total = found["requests"]
    print(
        f"{who}{kind}, {spans} spans a request: {total * spans / spent_s:,.0f} spans/s/core, "
        f"{total / spent_s:,.0f} requests/s/core "
        f"({total / seconds:,.0f} requests/s, {found['failures']} refused, p99 {found['p99']:.0f} ms)",
        flush=True,
    )


def freshness_ms(collector: RunningCollector, tries: int = 10) -> list[float]:
    """From an acknowledgement to the trace being there, at rest, sorted."""
    found: list[float] = []
    for number in range(tries):
        body = request(1, 1000 + number)
        trace_id = (
            ExportTraceServiceRequest.FromString(body)
            .resource_spans[0]
            .scope_spans[0]
            .spans[0]
            .trace_id.hex()
        )
        httpx.post(
            f"http://{collector.otlp_http}/v1/traces",
            content=body,
            headers={"content-type": "application/x-protobuf"},
        )
        started = time.monotonic()
        while httpx.get(f"http://{collector.api}/api/v1/traces/{trace_id}").status_code != 200:
            time.sleep(0.005)
        found.append(1000 * (time.monotonic() - started))
    return sorted(found)


def ten_of_the_largest(collector: RunningCollector) -> str:
    """Ten requests of 64 MiB at once: the answers."""
    body = request(1, 1)
    # a field that no decoder knows fills the request up
    filler = 64 * 2**20 - len(body) - 6
    size = bytearray()
    rest = filler
    while True:
        size.append((rest & 0x7F) | (0x80 if rest > 0x7F else 0))
        rest >>= 7
        if not rest:
            break
    body += b"\xfa\x3f" + bytes(size) + bytes(filler)
    answers: list[int] = []

    def one() -> None:
        try:
            answer = httpx.post(
                f"http://{collector.otlp_http}/v1/traces",
                content=body,
                headers={"content-type": "application/x-protobuf"},
                timeout=60,
            )
            answers.append(answer.status_code)
        except httpx.HTTPError:
            answers.append(0)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return " ".join(str(code) for code in sorted(answers))


def main() -> None:
    if "--client" in sys.argv:
        kind, address, spans, seconds, threads, rate = sys.argv[2:]
        client(kind, address, int(spans), float(seconds), int(threads), float(rate))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--only", default="http,grpc,single,half,fresh,memory")
    parser.add_argument("--rotel", metavar="FILE")
    chosen = parser.parse_args()
    only = chosen.only.split(",")
    with tempfile.TemporaryDirectory() as directory:
        db = Path(directory) / "bench.duckdb"
        with running_collector(db) as collector:
            decoder = collector.get("/api/v1/status")["decoder"]
            print(f"decoder: {decoder}\n")
            rate = 100.0
            for name, kind, spans, threads in LOADS:
                if name not in only:
                    continue
                found = run(collector, kind, spans=spans, seconds=chosen.seconds, threads=threads)
                if name == "http":
                    rate = found["requests"] / chosen.seconds
                tell("", kind, spans, found, found["cpu_s"], chosen.seconds)
            if "half" in only:
                found = run(
                    collector,
                    "http",
                    spans=SPANS,
                    seconds=chosen.seconds * 2,
                    threads=8,
                    rate=rate / 2,
                )
                print(
                    f"acknowledgement at half load ({rate / 2:.0f} requests/s): "
                    f"p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms, {found['failures']} refused"
                )
            if "fresh" in only:
                times = freshness_ms(collector)
                print(
                    f"freshness at rest: median {times[len(times) // 2]:.0f} ms, worst {times[-1]:.0f} ms"
                )
            print(f"peak RSS {peak_mib(collector.process):,.0f} MiB")
        if chosen.rotel:
            rotel(chosen.rotel, chosen.seconds)
        if "memory" in only:
            with running_collector(Path(directory) / "m.duckdb", memory_limit="512MB") as collector:
                before = peak_mib(collector.process)
                answers = ten_of_the_largest(collector)
                loaded(collector)
                print(
                    f"ten requests of 64 MiB at once under 512 MB: {answers}; "
                    f"peak RSS {before:,.0f} → {peak_mib(collector.process):,.0f} MiB"
                )


if __name__ == "__main__":
    main()
