"""Which shims are put on, and when: by name, by alias, and only for libraries that are used."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

import strayline
from strayline import instrumentor
from strayline.shims import SHIMS
from tests.support.programs import environment


@pytest.fixture(autouse=True)
def nothing_on() -> Iterator[None]:
    strayline.uninstrument()
    yield
    strayline.uninstrument()


def wanted() -> set[str]:
    return {name for name in instrumentor._watches if name in {shim.name for shim in SHIMS}}


@pytest.mark.parametrize(
    ("names", "shims"),
    [
        (["httpx"], {"httpx"}),
        (["fastapi"], {"asgi"}),
        (["starlette", "asgi"], {"asgi"}),
        (["aiormq"], {"aio_pika"}),
        (["aio-pika"], {"aio_pika"}),
        (["faststream"], {"aio_pika"}),
        (["celery"], {"py_amqp"}),
        (["kombu"], {"py_amqp"}),
        (["amqp"], {"py_amqp"}),
        (["aiohttp-client"], {"aiohttp"}),
        (["grpc_aio_client"], {"grpc"}),
        (["grpc-server", " Requests "], {"grpc", "requests"}),
        ("httpx", {"httpx"}),
        ([], set()),
    ],
)
def test_a_shim_is_named_by_itself_its_frameworks_and_opentelemetrys_names(
    names: list[str], shims: set[str]
) -> None:
    strayline.instrument(only=names)
    assert wanted() == shims


def test_excluded_is_what_only_names_too() -> None:
    strayline.instrument(only=["httpx", "grpc"], exclude=["grpc_client"])
    assert wanted() == {"httpx"}


def test_without_names_all_are_wanted_and_a_second_call_adds_what_is_missing() -> None:
    strayline.instrument(only=["httpx"])
    strayline.instrument()
    assert wanted() == {shim.name for shim in SHIMS}


def test_the_environment_is_asked_where_the_code_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STRAYLINE_INSTRUMENT", "httpx, fastapi,grpc")
    monkeypatch.setenv("STRAYLINE_EXCLUDE", "grpc")
    strayline.instrument()
    assert wanted() == {"httpx", "asgi"}
    strayline.uninstrument()
    strayline.instrument(only=["grpc", "pika"], exclude=["pika"])
    assert wanted() == {"grpc"}


def test_an_unknown_name_is_said_once_with_those_there_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="strayline"):
        strayline.instrument(only=["htpx", "httpx"])
        strayline.instrument(only=["htpx", "httpx"])
    assert wanted() == {"httpx"}
    (record,) = caplog.records
    assert "'htpx'" in record.getMessage()
    assert all(shim.name in record.getMessage() for shim in SHIMS)


def test_uninstrumented_nothing_watches_imports() -> None:
    """In a process of its own: here every library may be imported by now, and nothing be watched."""
    program = """
import sys
import strayline
before = list(sys.meta_path)
strayline.instrument()
assert len(sys.meta_path) == len(before) + 1, sys.meta_path
strayline.uninstrument()
assert sys.meta_path == before, sys.meta_path
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_shim_that_fails_is_taken_back_and_hurts_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    import strayline.shims.httpx as shim

    original = vars(httpx.AsyncClient)["_send_single_request"]
    whole = shim.on

    def half() -> None:
        whole()
        raise RuntimeError("half way")

    monkeypatch.setattr(shim, "on", half)
    import starlette.applications

    untouched = vars(starlette.applications.Starlette)["__call__"]
    strayline.instrument(only=["httpx", "asgi"])
    assert vars(httpx.AsyncClient)["_send_single_request"] is original
    assert vars(starlette.applications.Starlette)["__call__"] is not untouched
    assert "half way" in caplog.text


def in_python(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import json, sys\n{program}"],
        env=environment("http://127.0.0.1:9", OTEL_TRACES_EXPORTER="none"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


ACTIVE = "from strayline.instrumentor import _active; print(json.dumps(sorted(_active)))"
LIBRARIES = "httpx, fastapi, aio_pika, grpc, requests, flask, pika, aiohttp"
SHIMS_OF_THEM = ["aio_pika", "aiohttp", "asgi", "flask", "grpc", "httpx", "pika", "requests"]


@pytest.mark.parametrize(
    "program",
    [
        f"import strayline.auto\nimport {LIBRARIES}",
        f"import {LIBRARIES}\nimport strayline.auto",
        f"import grpc, httpx, strayline.auto, {LIBRARIES}",
        "import strayline.auto, threading, importlib\n"
        f"names = {LIBRARIES!r}.split(', ')\n"
        "threads = [threading.Thread(target=importlib.import_module, args=(n,)) for n in names]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()",
        "import threading, importlib\n"
        f"names = ['strayline.auto', *{LIBRARIES!r}.split(', ')]\n"
        "threads = [threading.Thread(target=importlib.import_module, args=(n,)) for n in names]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "import importlib.metadata, tabnanny",
    ],
    ids=["strayline first", "libraries first", "between", "libraries in threads", "all in threads"],
)
def test_in_whatever_order_they_are_imported_all_are_instrumented(program: str) -> None:
    assert in_python(f"{program}\n{ACTIVE}") == SHIMS_OF_THEM


def test_what_is_installed_and_not_used_is_not_imported() -> None:
    program = "import strayline.auto, httpx, starlette.applications, aiormq\nprint(json.dumps(list(sys.modules)))"
    loaded = {name.partition(".")[0] for name in in_python(program)}
    assert {"httpx", "starlette", "aiormq", "opentelemetry"} <= loaded
    assert not loaded & {
        *("aio_pika", "aiohttp", "amqp", "celery", "django", "fastapi", "flask", "grpc", "kombu"),
        *("pika", "requests", "uvicorn", "duckdb", "dash", "google"),
    }
    assert not any(name.startswith("opentelemetry.sdk") for name in in_python(program))
