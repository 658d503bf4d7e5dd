"""However a process ends, what it has to tell is sent, and it ends in time."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import BIN, environment, run, started, write
from tests.support.sink import Sink

SPAN = "import strayline.auto\nfrom strayline.provider import tracer\n"
SLOWLY = {"OTEL_BSP_SCHEDULE_DELAY": "60000"}
"""So that nothing but the end of the process sends."""


def ended(
    folder: Path, endpoint: str, text: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    write(folder, app=SPAN + text)
    return run([BIN / "python", "app.py"], environment(endpoint, **SLOWLY, **variables), cwd=folder)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tracer('x').start_span('last').end()", 0),
        ("import sys; tracer('x').start_span('last').end(); sys.exit(3)", 3),
        ("tracer('x').start_span('last').end(); raise ValueError('unhandled')", 1),
        ("import atexit\natexit.register(lambda: tracer('x').start_span('last').end())", 0),
        (
            "import threading, time\n"
            "def work():\n    time.sleep(0.2); tracer('x').start_span('last').end()\n"
            "threading.Thread(target=work).start()",
            0,
        ),
        (
            "import threading, time\n"
            "def forever():\n    while True: time.sleep(0.001)\n"
            "threading.Thread(target=forever, daemon=True).start()\n"
            "tracer('x').start_span('last').end()",
            0,
        ),
        (
            "import asyncio\n"
            "async def main(): tracer('x').start_span('last').end()\n"
            "asyncio.run(main())",
            0,
        ),
        (
            "import uvloop\n"
            "async def main(): tracer('x').start_span('last').end()\n"
            "uvloop.run(main())",
            0,
        ),
        ("import os, signal; tracer('x').start_span('last').end()\nos.kill(os.getpid(), 2)", -2),
    ],
    ids=[
        "end of the script",
        "sys.exit",
        "unhandled exception",
        "a span made in atexit",
        "a thread that outlives main",
        "a daemon thread that never ends",
        "asyncio.run",
        "uvloop.run",
        "Ctrl-C",
    ],
)
def test_a_short_script_sends_its_last_span(
    text: str, code: int, sink: Sink, tmp_path: Path
) -> None:
    done = ended(tmp_path, sink.endpoint, text)
    assert done.returncode == code, done.stderr
    assert [span.name for span in sink.spans()] == ["last"]


def test_the_census_is_the_last_word_before_the_last_export(sink: Sink, tmp_path: Path) -> None:
    text = """
from strayline.lifecycle import at_exit
at_exit(lambda: tracer('x').start_span('late word').end())
tracer('x').start_span('work').end()
"""
    assert ended(tmp_path, sink.endpoint, text).returncode == 0
    assert [span.name for span in sink.spans()] == ["work", "late word"]


def test_five_thousand_spans_leave_with_the_process(sink: Sink, tmp_path: Path) -> None:
    text = "for n in range(5000): tracer('x').start_span('one').end()"
    assert ended(tmp_path, sink.endpoint, text).returncode == 0
    assert len({span.span_id for span in sink.spans()}) == 5000


@pytest.fixture
def frozen() -> Iterator[str]:
    """A collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture
def away() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.mark.parametrize("collector", ["frozen", "away", "unavailable"])
def test_without_a_collector_a_process_leaves_in_time(
    collector: str, request: pytest.FixtureRequest, sink: Sink, tmp_path: Path
) -> None:
    if collector == "unavailable":
        sink.status = 503
    address = sink.endpoint if collector == "unavailable" else request.getfixturevalue(collector)
    text = """
import sys, time
for n in range(1000): tracer('x').start_span('one').end()
print(time.monotonic(), flush=True)
"""
    took_s: list[float] = []
    while len(took_s) < 3 and min(took_s, default=9) >= 2.5:  # others use this machine too
        done = ended(tmp_path, address, text)
        took_s.append(time.monotonic() - float(done.stdout))
        assert done.returncode == 0
        assert "Traceback" not in done.stderr
    assert min(took_s) < 2.5


def test_a_child_of_multiprocessing_leaves_in_time_too(frozen: str, tmp_path: Path) -> None:
    """Its finalizer and ``atexit`` (where a spawned child runs both) share the two seconds."""
    text = """
import multiprocessing, time
def work():
    for n in range(1000): tracer('x').start_span('one').end()
    print(time.monotonic(), flush=True)
if __name__ == '__main__':
    for method in ('fork', 'spawn'):
        child = multiprocessing.get_context(method).Process(target=work)
        child.start()
        child.join()
        print(time.monotonic(), flush=True)
"""
    took_s: list[float] = []
    while len(took_s) < 3 and min(took_s, default=9) >= 2.5:
        forked, joined, spawned, joined_too = map(
            float, ended(tmp_path, frozen, text).stdout.split()
        )
        took_s.append(max(joined - forked, joined_too - spawned))
    assert min(took_s) < 2.5


def test_sigterm_by_default_loses_only_what_the_last_export_left(
    sink: Sink, tmp_path: Path
) -> None:
    """Nobody is asked then: what was sent by the schedule is there, what came after is not."""
    write(
        tmp_path,
        app=SPAN
        + """
import time
tracer('x').start_span('sent').end()
while True: time.sleep(0.01)
""",
    )
    env = environment(sink.endpoint, OTEL_BSP_SCHEDULE_DELAY="50")
    with started([BIN / "python", "app.py"], env, cwd=tmp_path) as program:
        sink.wait_for(lambda spans: spans)
        assert program.stop() == -signal.SIGTERM
