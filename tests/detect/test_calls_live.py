"""Peers without telemetry, over real HTTP and gRPC, each beside its healthy twin. The truth is what the
peer itself says it served."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.collector import running_collector
from tests.support.programs import environment, run, started, write

CALLS = 22

PEER = """
import sys
if sys.argv[1] == "instrumented":
    import strayline.auto
import asyncio, grpc, grpc.aio, uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.get("/items/{number}")
def item(number: int):
    print("served", number, flush=True)
    return {}

async def take(request, context):
    print("served", request, flush=True)
    return b"ok"

async def main():
    server = grpc.aio.server()
    methods = {"Take": grpc.unary_unary_rpc_method_handler(take)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Stock", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    http = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.ensure_future(http.serve())
    while not http.started:
        await asyncio.sleep(0.01)
    print("ready", http.servers[0].sockets[0].getsockname()[1], port, flush=True)
    await serving

asyncio.run(main())
"""

CALLER = """
import strayline.auto
import sys, grpc, httpx

http, rpc, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with httpx.Client() as client, grpc.insecure_channel(f"127.0.0.1:{rpc}") as channel:
    for number in range(count):
        client.get(f"http://127.0.0.1:{http}/items/{number}").raise_for_status()
        channel.unary_unary("/shop.Stock/Take")(b"1")
"""


def called(folder: Path, endpoint: str, how: str) -> tuple[str, str, int]:
    """HTTP port, gRPC port and how many calls were served."""
    options = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    env = environment(endpoint, OTEL_SERVICE_NAME="stock", **options)
    with started([sys.executable, folder / "peer.py", how], env, cwd=folder) as peer:
        _, http, rpc = peer.lines("ready")[0].split()
        env = environment(endpoint, OTEL_SERVICE_NAME="orders", **options)
        done = run([sys.executable, folder / "caller.py", http, rpc, str(CALLS)], env)
        assert done.returncode == 0, done.stderr
        served = len(peer.lines("served"))
        peer.stop()
        return http, rpc, served


def test_a_peer_that_sends_no_spans_is_named_and_its_twin_is_not(tmp_path: Path) -> None:
    folder = write(tmp_path, peer=PEER, caller=CALLER)
    with running_collector() as collector:
        endpoint = f"http://{collector.otlp_http}"
        _, _, served = called(folder, endpoint, "instrumented")
        collector.settle()
        assert served == 2 * CALLS
        assert collector.findings() == []

    with running_collector() as collector:
        http, rpc, served = called(folder, f"http://{collector.otlp_http}", "plain")
        collector.settle()
        found = collector.findings()
    assert {(f["kind"], f["verdict"], f["severity"], f["confidence"]) for f in found} == {
        ("uninstrumented", "call", "info", "inferred")
    }
    assert {f["subject"]["consumer_service"]: f["count"] for f in found} == {
        f"127.0.0.1:{http}": CALLS,
        f"127.0.0.1:{rpc}": CALLS,
    }
    assert sum(f["count"] for f in found) == served
    assert {f["subject"]["producer_service"] for f in found} == {"orders"}
    assert [f["messages"] for f in found] == [[], []]
