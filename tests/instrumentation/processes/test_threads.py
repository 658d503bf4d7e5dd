"""Our own threads are such that a fork at any moment is safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.programs import BIN, environment, run, write
from tests.support.sink import Sink

WATCHED = """
import sys, threading
class Watcher:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            print(threading.current_thread().name, name)
import strayline.auto
from strayline import census
from strayline.provider import flush, say, tracer
sys.meta_path.insert(0, Watcher())
span = tracer('x').start_span('one', attributes={'a': [1, 2], 'b': 1.5})
span.record_exception(ValueError('two'))
span.end()
census.start()
census.tell()
say('three', {'four': 5})
assert flush(30)
"""


@pytest.mark.parametrize("gzip", ["none", "gzip"])
def test_our_threads_import_nothing(gzip: str, sink: Sink, tmp_path: Path) -> None:
    """A child that is forked in the middle of an import by another thread never gets that
    import's lock: whatever wants the module there hangs, the application too."""
    write(tmp_path, app=WATCHED)
    env = environment(sink.endpoint, OTEL_EXPORTER_OTLP_COMPRESSION=gzip)
    done = run([BIN / "python", "app.py"], env, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [span.name for span in sink.spans()] == ["one"]


def test_a_collector_that_is_away_makes_our_threads_import_nothing_either(tmp_path: Path) -> None:
    write(tmp_path, app=WATCHED.replace("assert flush(30)", "flush(0.5)"))
    done = run([BIN / "python", "app.py"], environment("http://localhost:9"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("provider", ["ours", "the application's"])
def test_a_first_span_in_a_thread_of_the_services_imports_nothing(
    provider: str, sink: Sink, tmp_path: Path
) -> None:
    """The service may fork while one of its threads makes the first span of all."""
    theirs = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        if provider == "the application's"
        else ""
    )
    head, _, body = WATCHED.partition("span = ")
    lines = "".join(f"    {line}\n" for line in f"span = {body}".splitlines())
    write(
        tmp_path,
        app=f"{theirs}{head}def work():\n{lines}"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n",
    )
    done = run([BIN / "python", "app.py"], environment(sink.endpoint), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
