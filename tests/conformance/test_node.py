"""Node's stock exporters: live where Node is, and what they once sent, byte for byte, anywhere.

``tests/corpus/node/`` holds the bytes that Node 20 with the versions of ``node/package-lock.json``
sent for ``node/send.js``. ``python -m tests.conformance.test_node`` records them anew.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.collector import RunningCollector, running_collector
from tests.support.faults import wait_for
from tests.support.lossy import Fate, lossy_http
from tests.support.npm import installed
from tests.support.raw_http import wire

HERE: Final = Path(__file__).parent / "node"
ROOT: Final = Path(__file__).parents[2]
RECORDED: Final = Path(__file__).parents[1] / "corpus" / "node"
SENT: Final = [
    (kind, compression) for kind in ("json", "proto", "grpc") for compression in ("none", "gzip")
]


def exporters() -> Path | str:
    """The directory with ``send.js`` and its packages; else why there is none."""
    place = installed(HERE)
    if isinstance(place, Path):
        shutil.copy(HERE / "send.js", place)
    return place


def send(place: Path, kind: str, compression: str, address: str) -> dict[str, Any]:
    """One trace by Node's exporter: ``{trace_id, code, error}``, code 0 for success."""
    url = f"http://{address}" + ("" if kind == "grpc" else "/v1/traces")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    ran = subprocess.run(
        ["node", "send.js", kind, compression, url],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def node() -> Path:
    found = exporters()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def door(collector: RunningCollector, kind: str) -> str:
    return collector.otlp_grpc if kind == "grpc" else collector.otlp_http


def is_whole(collector: RunningCollector, kind: str, trace_id: str) -> None:
    """What ``send.js`` says is what is stored."""
    collector.settle()
    spans = collector.get(f"/api/v1/traces/{trace_id}")["spans"]
    outer, inner = sorted(spans, key=lambda span: span["name"], reverse=True)
    assert (outer["service"], outer["name"], outer["kind"]) == (f"node-{kind}", "outer", "server")
    assert outer["attributes"] == {
        "text": "ü", "whole": 7, "half": 0.5, "yes": True, "list": ["a", "b"],
    }  # fmt: skip
    assert (inner["name"], inner["kind"], inner["status"]) == ("inner", "producer", "error")
    assert inner["parent_span_id"] == outer["span_id"]
    assert [event["name"] for event in inner["events"]] == ["happened"]
    assert [link["span_id"] for link in inner["links"]] == [outer["span_id"]]
    assert inner["start_unix_nano"] >= outer["start_unix_nano"] > 10**18


@pytest.mark.parametrize(("kind", "compression"), SENT)
def test_nodes_exporter_is_understood(
    node: Path, collector: RunningCollector, kind: str, compression: str
) -> None:
    sent = send(node, kind, compression, door(collector, kind))
    assert (sent["code"], sent["error"]) == (0, "")
    is_whole(collector, kind, sent["trace_id"])


@pytest.mark.parametrize("fate", ["refuse", "answer 503", "lose answer"])
def test_nodes_exporter_sends_again_and_its_spans_count_once(
    node: Path, collector: RunningCollector, fate: Fate
) -> None:
    with lossy_http(collector.otlp_http, fate) as lossy:
        sent = send(node, "json", "gzip", lossy.address)
        assert (sent["code"], len(lossy.seen)) == (0, 2)
    is_whole(collector, "json", sent["trace_id"])


@pytest.mark.parametrize(("kind", "compression"), SENT)
def test_what_node_once_sent_is_understood(
    collector: RunningCollector, kind: str, compression: str
) -> None:
    trace_id = json.loads((RECORDED / "traces.json").read_text())[f"{kind}_{compression}"]
    with wire(door(collector, kind)) as connection:
        connection.send((RECORDED / f"{kind}_{compression}.bin").read_bytes())
        if kind != "grpc":
            assert connection.answer().status == 200
        wait_for(lambda: collector.get("/api/v1/traces", q=f"trace_id={trace_id}")["items"])
    is_whole(collector, kind, trace_id)


def record() -> None:
    """Writes ``tests/corpus/node/``."""
    place = exporters()
    assert isinstance(place, Path), place
    RECORDED.mkdir(parents=True, exist_ok=True)
    traces: dict[str, str] = {}
    with running_collector() as collector:
        for kind, compression in SENT:
            name = f"{kind}_{compression}"
            data, traces[name] = _recorded(place, kind, compression, door(collector, kind))
            (RECORDED / f"{name}.bin").write_bytes(data)
    (RECORDED / "traces.json").write_text(json.dumps(traces, indent=1) + "\n")


def _recorded(place: Path, kind: str, compression: str, target: str) -> tuple[bytes, str]:
    """What one run of ``send.js`` sends, seen on the way to ``target``, and the trace's id."""
    listener = socket.create_server(("127.0.0.1", 0))
    came = bytearray()

    def relay() -> None:
        client, _ = listener.accept()
        host, _, port = target.rpartition(":")
        upstream = socket.create_connection((host, int(port)))

        def back() -> None:
            with suppress(OSError):  # closed below
                while data := upstream.recv(65536):
                    client.sendall(data)

        threading.Thread(target=back, daemon=True).start()
        while data := client.recv(65536):
            came.extend(data)
            upstream.sendall(data)
        upstream.close()

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    sent = send(place, kind, compression, f"127.0.0.1:{listener.getsockname()[1]}")
    assert sent["code"] == 0, sent
    thread.join(10)
    listener.close()
    return bytes(came), sent["trace_id"]


if __name__ == "__main__":
    record()
