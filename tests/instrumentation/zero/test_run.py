"""``strayline run``: the program runs as without it, and is instrumented."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import httpx
import pytest

from strayline.shims import SHIMS
from strayline.zero import SITE, environment_of_a_run
from tests.support.programs import BIN, STRAYLINE, environment, run, started, write
from tests.support.sink import Sink

CALL = """
    import httpx, os, sys
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
    client.get("http://shop/" + (sys.argv[1] if len(sys.argv) > 1 else ""))
    print(os.getpid())
"""


def test_a_script_is_instrumented_with_exactly_one_span_for_each_side(
    sink: Sink, tmp_path: Path
) -> None:
    write(
        tmp_path,
        app="""
            import asyncio, httpx
            from fastapi import FastAPI
            app = FastAPI()
            app.get("/hello/{name}")(lambda name: name)
            async def main():
                transport = httpx.ASGITransport(app=app)
                async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                    assert (await client.get("/hello/me")).status_code == 200
            asyncio.run(main())
        """,
    )
    options = ["--service-name", "shop", "--endpoint", sink.endpoint.removeprefix("http://")]
    done = run([STRAYLINE, "run", *options, "--", "python", "app.py"], environment(), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    client, server = sorted(sink.spans(), key=lambda span: span.kind, reverse=True)
    assert (server.kind, client.kind) == (2, 3)
    assert server.parent_span_id == client.span_id
    assert (server.service, client.service) == ("shop", "shop")


def test_pid_arguments_streams_and_exit_code_are_the_programs_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="""
            import json, os, sys
            print(json.dumps([os.getpid(), sys.argv, sys.stdin.read(), os.environ.get("GRPC_VERBOSITY")]))
            sys.stderr.write("to stderr")
            sys.exit(7)
        """,
    )
    process = subprocess.Popen(
        [STRAYLINE, "run", "python", "app.py", "--only", "--", "-x"],
        env=environment("http://127.0.0.1:9"),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate("from stdin", timeout=60)
    assert json.loads(out) == [process.pid, ["app.py", "--only", "--", "-x"], "from stdin", None]
    assert (err, process.returncode) == ("to stderr", 7)


def test_signals_are_as_without_it() -> None:
    program = "kill -s PIPE $$; echo ignored"
    done = run([STRAYLINE, "run", "--", "sh", "-c", program], environment())
    assert (done.returncode, done.stdout) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-m", "call", "module"],
        ["./call.sh"],
        ["./script"],
        ["sh", "-c", "python call.py; true"],
        ["python", "-c", "import subprocess, sys; subprocess.run([sys.executable, 'call.py'])"],
        ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_call.py"],
    ],
    ids=lambda command: " ".join(command)[:30],
)
def test_programs_of_all_kinds_are_instrumented(
    command: list[str], sink: Sink, tmp_path: Path
) -> None:
    write(tmp_path, call=CALL, test_call="def test_call():\n    import call\n")
    for name, text in (
        ("call.sh", "#!/bin/sh\nexec python call.py\n"),
        ("script", f"#!{sys.executable}\nimport call\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = run([STRAYLINE, "run", "--", *command], environment(sink.endpoint), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [span.name for span in sink.spans()] == ["GET"]


def test_a_child_of_a_child_has_a_span_of_its_own(sink: Sink, tmp_path: Path) -> None:
    write(
        tmp_path,
        call=CALL,
        app="import subprocess, sys, call\nsubprocess.run([sys.executable, 'call.py'], check=True)",
    )
    done = run([STRAYLINE, "run", "python", "app.py"], environment(sink.endpoint), cwd=tmp_path)
    assert {span.pid for span in sink.spans()} == {int(line) for line in done.stdout.split()}
    assert len(sink.spans()) == 2


@pytest.mark.parametrize("flag", ["-S", "-I", "-E"])
def test_an_isolated_python_runs_without_instrumentation(
    flag: str, sink: Sink, tmp_path: Path
) -> None:
    write(tmp_path, app="import sys; print('strayline' in sys.modules)")
    done = run(
        [STRAYLINE, "run", "python", flag, "app.py"], environment(sink.endpoint), cwd=tmp_path
    )
    assert (done.stdout, done.stderr, done.returncode) == ("False\n", "", 0)


def test_a_python_that_uses_no_library_of_ours_imports_nothing_of_ours() -> None:
    program = "import sys; print([m for m in sys.modules if 'strayline' in m or 'opentel' in m])"
    done = run([STRAYLINE, "run", "python", "-c", program], environment())
    assert done.stdout == "[]\n"


def test_sitecustomize_waits_for_every_library_that_a_shim_watches() -> None:
    namespace: dict[str, object] = {}
    text = (Path(SITE) / "sitecustomize.py").read_text()
    exec(text[text.index("LIBRARIES") : text.index("class FirstLibrary")], namespace)
    libraries: Any = namespace["LIBRARIES"]
    assert {name.partition(".")[0] for shim in SHIMS for name in shim.watched} <= libraries


def test_only_and_exclude_choose_by_any_name(sink: Sink, tmp_path: Path) -> None:
    program = (
        "import httpx, starlette.applications; from strayline.instrumentor import _active; "
        "print(sorted(_active))"
    )

    def active(*options: str, **variables: str) -> str:
        command = [STRAYLINE, "run", *options, "--", "python", "-c", program]
        done = run(command, environment(sink.endpoint, **variables))
        return done.stdout.strip() + done.stderr

    assert active("--only", "fastapi") == "['asgi']"
    assert active("--exclude", "starlette") == "['httpx']"
    assert active("--only", "httpx,asgi", "--exclude", "httpx") == "['asgi']"
    assert active(STRAYLINE_ONLY="asgi") == "['asgi']"
    assert active(STRAYLINE_EXCLUDE="asgi") == "['httpx']"
    assert active(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="redis, httpx") == "['asgi']"
    assert active(OTEL_SDK_DISABLED="true") == "[]"


def test_an_unknown_name_is_a_usage_error() -> None:
    done = run([STRAYLINE, "run", "--only", "htpx", "true"], environment())
    assert done.returncode == 2
    assert done.stderr.startswith("strayline: --only: no instrumentation named 'htpx'; there are: ")
    assert done.stderr.count("\n") == 1


def test_help_names_every_option_its_variable_and_an_example() -> None:
    done = run([STRAYLINE, "run", "--help"], environment())
    for word in ("--service-name", "--endpoint", "--only", "--exclude", "STRAYLINE_ENDPOINT"):
        assert word in done.stdout
    assert "strayline run --service-name billing -- gunicorn" in " ".join(done.stdout.split())


def test_a_program_that_cannot_be_run_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print()")
    (tmp_path / "bad").write_text("#!/no/such/interpreter\n")
    (tmp_path / "bad").chmod(0o755)
    for program, code, words in (
        ("no-such-program", 127, "not found"),
        ("./missing", 127, "not found"),
        ("./app.py", 126, "not executable; for a Python program: strayline run -- python ./app.py"),
        (str(tmp_path), 126, "is a directory"),
        ("./bad", 126, "interpreter"),
    ):
        done = run([STRAYLINE, "run", "--", program], environment(), cwd=tmp_path)
        assert done.returncode == code
        assert done.stderr.startswith(f"strayline run: {program}: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_python_of_another_environment_runs_and_says_once_why_it_is_not_instrumented(
    tmp_path: Path,
) -> None:
    venv.create(tmp_path / "other", symlinks=True, with_pip=False)
    python = tmp_path / "other" / "bin" / "python"
    write(
        tmp_path,
        httpx="",
        app="import subprocess, sys, httpx\n"
        "if len(sys.argv) == 1:\n    subprocess.run([sys.executable, 'app.py', 'child'], check=True)\n"
        "print('ran')",
    )
    env = environment()
    env.pop("PYTHONPATH", None)
    done = run([STRAYLINE, "run", python, "app.py"], env, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "ran\nran\n")
    assert done.stderr.count("\n") == 1
    assert "No module named 'strayline'" in done.stderr


def test_a_sitecustomize_that_was_there_before_is_run_too(sink: Sink, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    write(tmp_path / "theirs", sitecustomize="import os; os.environ['THEIRS'] = __file__")
    (tmp_path / "call.py").write_text(
        "import os, sitecustomize\nprint(os.environ['THEIRS'], sitecustomize.__file__)\n"
        "import httpx\n"
        "httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200))).get('http://x')\n"
    )
    env = environment(sink.endpoint)
    env = environment_of_a_run(
        {**env, "PYTHONPATH": f"{tmp_path / 'theirs'}:{env.get('PYTHONPATH', '')}"}
    )
    done = run([BIN / "python", "call.py"], env, cwd=tmp_path)
    theirs = str(tmp_path / "theirs" / "sitecustomize.py")
    assert (done.stdout.split(), done.stderr) == ([theirs, theirs], "")
    assert len(sink.spans()) == 1


def test_a_sitecustomize_of_theirs_that_fails_is_reported_as_python_does(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    write(tmp_path / "theirs", sitecustomize="raise ValueError('theirs')")
    for site in ([], [SITE]):
        env = environment(PYTHONPATH=":".join([*site, str(tmp_path / "theirs")]))
        done = run([BIN / "python", "-c", "print('ran')"], env)
        assert done.stdout == "ran\n"
        assert "Error in sitecustomize" in done.stderr
        assert "ValueError: theirs" in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_started_by_its_own_script_is_instrumented_and_flushes_when_stopped(
    workers: int, sink: Sink, tmp_path: Path
) -> None:
    """uvicorn ends by the signal that stopped it, past ``atexit``."""
    write(
        tmp_path,
        web="""
            from starlette.applications import Starlette
            from starlette.responses import PlainTextResponse
            from starlette.routing import Route
            app = Starlette(routes=[Route("/hello", lambda request: PlainTextResponse("hello"))])
        """,
    )
    socket = str(tmp_path / "socket")
    command = [STRAYLINE, "run", "--", "uvicorn", "web:app", "--uds", socket]
    command += ["--workers", str(workers)] if workers > 1 else []
    env = environment(sink.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000", PYTHONUNBUFFERED="1")
    with started(command, env, cwd=tmp_path) as server:
        server.lines("startup complete")
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket), timeout=20) as client:
            assert client.get("http://shop/hello").text == "hello"
        assert sink.spans() == []
        assert server.stop() == (-signal.SIGTERM if workers == 1 else 0)
    assert [span.name for span in sink.spans(kind=2)] == ["GET /hello"]
