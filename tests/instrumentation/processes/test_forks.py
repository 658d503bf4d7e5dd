"""Children of every kind tell of themselves, under their own pid, and repeat nothing of their
parent's."""

from __future__ import annotations

import collections
import json
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.programs import BIN, STRAYLINE, environment, run, started, write
from tests.support.sink import Sink

SLOWLY = {"OTEL_BSP_SCHEDULE_DELAY": "60000"}


def program(folder: Path, sink: Sink, text: str) -> dict[int, list[str]]:
    """Runs it; names of spans by pid."""
    write(
        folder,
        app="import os, sys\nimport strayline.auto\nfrom strayline.provider import tracer\n"
        "def span(name): tracer('x').start_span(name).end()\n" + text,
    )
    env = environment(sink.endpoint, **SLOWLY)
    done = run([BIN / "python", "app.py"], env, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[int, list[str]] = collections.defaultdict(list)
    for one in sink.spans():
        assert one.pid is not None
        found[one.pid].append(one.name)
    return found


def test_a_forked_child_sends_its_own_spans_and_none_of_its_parents(
    sink: Sink, tmp_path: Path
) -> None:
    found = program(
        tmp_path,
        sink,
        """
span('before')
child = os.fork()
if child:
    span('parent')
    assert os.waitpid(child, 0)[1] == 0
else:
    span('child')
""",
    )
    assert sorted(found.values()) == [["before", "parent"], ["child"]]


def test_children_of_children_are_processes_of_their_own(sink: Sink, tmp_path: Path) -> None:
    found = program(
        tmp_path,
        sink,
        """
for generation in range(3):
    span(str(generation))
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        break
""",
    )
    assert sorted(found.values()) == [["0"], ["1"], ["2"]]
    assert len({span.resource["service.instance.id"] for span in sink.spans()}) == 3


def test_a_fork_while_threads_export_and_trace_is_survived(sink: Sink, tmp_path: Path) -> None:
    """Locks of ours may be held by a thread that the child does not have."""
    found = program(
        tmp_path,
        sink,
        """
import threading
os.environ['OTEL_BSP_SCHEDULE_DELAY'] = '1'
stop = threading.Event()
def work():
    while not stop.is_set(): span('noise')
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
children = []
for n in range(20):
    child = os.fork()
    if not child:
        stop.set()
        span('child')
        sys.exit(0)
    children.append(child)
stop.set()
for thread in threads: thread.join()
for child in children: assert os.waitpid(child, 0)[1] == 0
""",
    )
    assert sum(names.count("child") for names in found.values()) == 20


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_sends_what_it_has_when_its_work_is_done(
    method: str, sink: Sink, tmp_path: Path
) -> None:
    found = program(
        tmp_path,
        sink,
        f"""
import multiprocessing
def work(name): span(name)
if __name__ == '__main__':
    context = multiprocessing.get_context({method!r})
    processes = [context.Process(target=work, args=(name,)) for name in 'ab']
    for process in processes: process.start()
    for process in processes: process.join()
    with context.Pool(1) as pool:
        pool.map(work, ['pooled'])
        pool.close()
        pool.join()
    span('parent')
""",
    )
    assert sorted(found.values()) == [["a"], ["b"], ["parent"], ["pooled"]]


def test_executor_processes_send_what_they_have(sink: Sink, tmp_path: Path) -> None:
    found = program(
        tmp_path,
        sink,
        """
from concurrent.futures import ProcessPoolExecutor
def work(n): span('work')
if __name__ == '__main__':
    with ProcessPoolExecutor(2) as pool: list(pool.map(work, range(10)))
""",
    )
    assert sum(len(names) for names in found.values()) == 10


@pytest.mark.parametrize("preload", [True, False])
def test_gunicorn_workers_send_what_they_have_when_it_stops(
    preload: bool, sink: Sink, tmp_path: Path
) -> None:
    write(
        tmp_path,
        web="""
            import os, httpx
            client = httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200)))
            client.get("http://shop/import")
            def app(environ, start_response):
                client.get("http://shop/request")
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [str(os.getpid()).encode()]
        """,
    )
    options = ["--workers", "2", "--bind", "127.0.0.1:0", *(["--preload"] if preload else [])]
    env = environment(sink.endpoint, **SLOWLY)
    command = [STRAYLINE, "run", "--", "gunicorn", *options, "web:app"]
    with started(command, env, cwd=tmp_path) as server:
        address = server.lines("Listening at")[0].split("Listening at: ")[1].split()[0]
        pids: collections.Counter[int] = collections.Counter()
        deadline = time.monotonic() + 30
        while len(pids) < 2 and time.monotonic() < deadline:
            with urlopen(address, timeout=20) as answer:
                pids[int(answer.read())] += 1
        assert server.stop() == 0
    requests = [span for span in sink.spans() if span.attributes["url.full"].endswith("request")]
    assert collections.Counter(span.pid for span in requests) == pids
    imports = [span.pid for span in sink.spans() if span not in requests]
    assert imports == [server.pid] if preload else set(imports) == set(pids)


def test_celery_prefork_workers_send_what_they_have_when_it_stops(
    sink: Sink, vhost: str, tmp_path: Path
) -> None:
    write(
        tmp_path,
        tasks=f"""
            import os, celery, httpx
            app = celery.Celery("tasks", broker={vhost!r})
            client = httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200)))
            @app.task
            def work(path):
                client.get("http://shop/task")
                with open(path, "a") as file: file.write(f"{{os.getpid()}}\\n")
        """,
    )
    env = environment(sink.endpoint, **SLOWLY)
    options = ["worker", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip"]
    command = [STRAYLINE, "run", "--", "celery", "-A", "tasks", *options]
    with started(command, env, cwd=tmp_path) as worker:
        worker.lines("ready.")
        done = tmp_path / "done"
        sender = "import sys, tasks\nfor n in range(4): tasks.work.delay(sys.argv[1])"
        assert run([BIN / "python", "-c", sender, done], env, cwd=tmp_path).returncode == 0
        worker.lines("succeeded", count=4)
        assert worker.stop() == 0
    calls = [span.pid for span in sink.spans() if span.scope == "strayline.httpx"]
    assert sorted(calls) == sorted(json.loads(line) for line in done.read_text().split())
    assert worker.pid not in calls
