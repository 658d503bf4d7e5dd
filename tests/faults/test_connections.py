"""Connections that say nothing, little or nonsense: others are served, memory stays bounded."""

from __future__ import annotations

import contextlib
import random
import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import resident_mib
from tests.support.otlp import EXPORT, PROTOBUF, body
from tests.support.raw_http import head

MANY = 10_000
CLOSED_WITHIN_S = 45.0
"""Unfinished requests are given up by then."""
SERVED_S = 5.0
"""Whoever sends a whole request waits for none of them, on a busy machine either."""
HALF = head(headers={"Content-Type": "application/x-protobuf"})[:-2] + b"Content-Le"
HALF_BODY = (
    head(headers={"Content-Type": "application/x-protobuf", "Content-Length": "1000"}) + b"x"
)


@pytest.fixture
def files() -> Iterator[int]:
    """How many connections each of two processes may have open here, of ``MANY``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY + 1_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    yield min(MANY, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def served_s(collector: RunningCollector) -> float:
    """How long an ordinary request takes at the slowest door; the best of three, since the
    machine may be busy with something else."""
    slowest = 0.0
    for ask in (_http, _grpc, _api):
        best = 60.0
        for _ in range(3):
            started = time.monotonic()
            ask(collector)
            best = min(best, time.monotonic() - started)
        slowest = max(slowest, best)
    return slowest


def _http(collector: RunningCollector) -> None:
    url = f"http://{collector.otlp_http}/v1/traces"
    assert httpx.post(url, content=body(), headers=PROTOBUF, timeout=20).status_code == 200


def _grpc(collector: RunningCollector) -> None:
    with grpc.insecure_channel(collector.otlp_grpc) as channel:
        assert channel.unary_unary(EXPORT)(body(), timeout=20) == b""


def _api(collector: RunningCollector) -> None:
    assert httpx.get(f"http://{collector.api}/health", timeout=20).status_code == 200


def closed(sockets: list[socket.socket], within_s: float) -> int:
    """How many of them the other side has closed by then; all are closed afterwards."""
    count = 0
    deadline = time.monotonic() + within_s
    with selectors.DefaultSelector() as selector:
        for each in sockets:
            each.setblocking(False)
            selector.register(each, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(min(left, 1.0)):
                found = key.fileobj
                assert isinstance(found, socket.socket)
                with contextlib.suppress(BlockingIOError):
                    try:
                        ended = not found.recv(65536)
                    except ConnectionError:
                        ended = True
                    if ended:
                        selector.unregister(found)
                        count += 1
    for each in sockets:
        each.close()
    return count


@pytest.mark.timeout(240)
def test_ten_thousand_half_open_connections(files: int) -> None:
    """Unfinished heads on the OTLP/HTTP door; fewer where open files are limited."""
    with running_collector() as collector:
        served_s(collector)
        before = resident_mib(collector.process)
        sockets: list[socket.socket] = []
        for _ in range(files):
            each = connect(collector.otlp_http)
            each.sendall(HALF)
            sockets.append(each)
        waited = served_s(collector)
        grown = resident_mib(collector.process) - before
        print(f"{files} half-open: others waited {waited:.3f} s, memory grew by {grown:.0f} MiB")
        assert waited < SERVED_S
        assert grown < 300
        assert closed(sockets, CLOSED_WITHIN_S) == files
        assert served_s(collector) < SERVED_S


def test_a_thousand_half_open_connections_on_each_of_the_other_doors() -> None:
    with running_collector() as collector:
        served_s(collector)
        before = resident_mib(collector.process)
        doors = {collector.otlp_grpc: b"PRI * HTTP/2.0\r\n", collector.api: HALF}
        sockets: list[socket.socket] = []
        for address, begun in doors.items():
            for _ in range(900):
                sockets.append(connect(address))
                sockets[-1].sendall(begun)
        assert served_s(collector) < SERVED_S
        assert resident_mib(collector.process) - before < 400
        for each in sockets:
            each.close()
        assert served_s(collector) < SERVED_S


SOONER = """
import functools
from strayline_collector.receive import http_request
http_request.Limits = functools.partial(http_request.Limits, head_s=2.0)
"""
"""Heads are given up sooner than after ten seconds, which the test of ten thousand waits for."""


def test_senders_that_drip_are_given_up(tmp_path: Path) -> None:
    """A byte every half second, of a head and of a body: progress, but not at that pace."""
    with running_collector(tmp_path / "s.duckdb", prelude=SOONER) as collector:
        sockets = [connect(collector.otlp_http) for _ in range(100)]
        stop = threading.Event()

        def drip() -> None:
            for index, each in enumerate(sockets):
                each.sendall(HALF_BODY if index % 2 else HALF[:30])
            while not stop.wait(0.5):
                for each in sockets:
                    with contextlib.suppress(OSError):
                        each.send(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert served_s(collector) < SERVED_S
            deadline = time.monotonic() + CLOSED_WITHIN_S
            while time.monotonic() < deadline and not all(map(_gone, sockets[:2])):
                time.sleep(0.5)
            assert [_gone(each) for each in sockets[:2]] == [True, True]
        finally:
            stop.set()
            thread.join()
            for each in sockets:
                each.close()


def _gone(each: socket.socket) -> bool:
    """Whether the other side has closed it."""
    try:
        return not each.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) or _answered(each)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _answered(each: socket.socket) -> bool:
    """Reads what came (408), to see the end after it."""
    with contextlib.suppress(OSError):
        while each.recv(4096, socket.MSG_DONTWAIT):
            pass
        return True
    return False


TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(189)
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def test_garbage_on_every_door(rng: random.Random) -> None:
    with running_collector() as collector:
        served_s(collector)
        before = resident_mib(collector.process)
        doors = [
            threading.Thread(target=_garbage, args=(address, random.Random(rng.random())))
            for address in (collector.otlp_http, collector.otlp_grpc, collector.api)
        ]
        for door in doors:
            door.start()
        for door in doors:
            door.join()
        assert served_s(collector) < SERVED_S
        assert resident_mib(collector.process) - before < 200


def _garbage(address: str, rng: random.Random) -> None:
    for round_ in range(150):
        garbage = (
            rng.randbytes(rng.randrange(1, 3000)),
            TLS_HELLO,
            HTTP2 + rng.randbytes(100),
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /v1/traces HTTP/1.1\r\n" + rng.randbytes(50) + b"\r\n\r\n",
            head(headers={"Transfer-Encoding": "chunked", "Content-Type": "application/json"})
            + rng.randbytes(40),
            b"\x00" * 100_000,
            b"\r\n" * 10_000,
        )[round_ % 8]
        with contextlib.suppress(OSError), connect(address) as each:
            each.sendall(garbage)
            each.settimeout(0.02)
            each.recv(4096)
