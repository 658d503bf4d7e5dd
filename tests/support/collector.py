"""A real collector, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from tests.support.corpus import frames

DOORS = ("otlp-http", "otlp-grpc", "api")

_PROGRAM = """
import asyncio, json, sys
from strayline_collector.doors import serve
from strayline_collector.settings import CollectorSettings, parse_address
options = json.loads(sys.argv[1])
doors = {name: parse_address(options.pop(name, "127.0.0.1:0"), name) for name in ("otlp_http", "otlp_grpc", "api")}
def ready(addresses):
    print(json.dumps({name: str(getattr(addresses, name)) for name in doors}), flush=True)
asyncio.run(serve(CollectorSettings(**doors, **options), on_ready=ready))
"""


@dataclass(slots=True)
class RunningCollector:
    """Addresses without scheme, and the process."""

    otlp_http: str
    otlp_grpc: str
    api: str
    process: subprocess.Popen[str]
    zipkin: str = ""

    def get(self, path: str, **params: Any) -> Any:
        """GET of an API path; fails on any status but 200."""
        response = httpx.get(f"http://{self.api}{path}", params=params, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def settle(self) -> dict[str, int]:
        response = httpx.post(f"http://{self.api}/api/v1/detection/settle", timeout=120)
        assert response.status_code == 200, response.text
        return response.json()

    def findings(self, **params: Any) -> list[dict[str, Any]]:
        """Every finding with all its messages."""
        return self.get("/api/v1/findings", messages="all", limit=1000, **params)["items"]

    def put(self, path: str, document: Any, **params: Any) -> Any:
        """PUT of a JSON document; fails on any status but 200."""
        response = httpx.put(f"http://{self.api}{path}", json=document, params=params, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, document: Any) -> Any:
        """POST of a JSON document; fails on any status but 200."""
        response = httpx.post(f"http://{self.api}{path}", json=document, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def replay(self, name: str) -> None:
        """Sends a recording's trace requests as they were sent."""
        with httpx.Client(base_url=f"http://{self.otlp_http}", timeout=60) as client:
            for meta, body in frames(name):
                if meta["transport"] != "http" or meta["path"] != "/v1/traces":
                    continue
                headers = {
                    key: value
                    for key, value in meta["headers"].items()
                    if key in ("content-type", "content-encoding")
                }
                answer = client.post(meta["path"], content=iter([body]), headers=headers)
                assert answer.status_code == 200, answer.text

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)


@contextmanager
def running_collector(
    db: str | Path = ":memory:",
    *,
    prelude: str = "",
    under: Sequence[str] = (),
    stderr: IO[str] | None = None,
    **options: Any,
) -> Iterator[RunningCollector]:
    """Starts a collector on free ports; gone when the block ends, however it ends. ``prelude`` is
    Python that it runs first (an injected fault), ``under`` a command that starts it."""
    program = prelude + "\n" + _PROGRAM
    process = subprocess.Popen(
        [*under, sys.executable, "-c", program, json.dumps({"db": str(db), **options})],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the collector did not start (exit code {process.wait(timeout=10)})"
        yield RunningCollector(**json.loads(line), process=process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def collector_command(*arguments: str, **environment: str) -> Iterator[RunningCollector]:
    """As ``running_collector``, by the console script: what a user types, and its environment."""
    doors = [
        part
        for name in DOORS
        for part in (f"--{name}", "127.0.0.1:0")
        if f"--{name}" not in arguments
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "strayline_collector", "collector", "--db", ":memory:", "--addresses-json", *doors, *arguments],
        env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=10)[1]
        yield RunningCollector(**json.loads(line), process=process)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
