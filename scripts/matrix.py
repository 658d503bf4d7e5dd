"""Runs the instrumentation's tests on the oldest and the newest version of each library.

python scripts/matrix.py [--list] [--row NAME]...

Each row has a virtual environment of its own in .cache/matrix, kept for the next run, and its
pytest's whole output beside it. A table of all rows is written at the end; a row that failed makes
the exit status 1. Packages come through uv, rows run one after another.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
HOME: Final = ROOT / ".cache" / "matrix"
UV: Final = ROOT / ".venv" / "bin" / "uv"
TESTS: Final = Path("tests") / "instrumentation"
COMMON: Final = (
    "pytest",
    "pytest-timeout",
    "hypothesis",
    "httpx",
    "opentelemetry-proto",
    "opentelemetry-instrumentation",
)
MAKE_S: Final = 300
RUN_S: Final = 420
NEVER_RAN: Final = (2, 3, 4, 5)
"""pytest's statuses that tell of no tests: interrupted, broken, misused, none found."""

# The HTTP tests are tables over all clients and servers: those of other rows come in their newest.
CLIENTS: Final = ("requests", "aiohttp", "uvicorn")
SERVERS: Final = ("fastapi", "starlette", "flask", "django", "uvicorn")
AIO_PIKA: Final = ("amqp/test_aio_pika.py", "amqp/test_aio_pika_loops.py", "amqp/test_aiormq.py")
FASTSTREAM: Final = "amqp/test_faststream.py::TestFastStream"
# of a connection that the broker closed, in aio-pika 9
UNCLOSED: Final = "unclosed <StreamWriter"
ROOTED: Final = "http/test_asgi.py::test_the_root_of_an_application_behind_a_proxy_is_in_its_route"
# middlewares came in 3.12, a second try on a connection that was kept in 3.10
AIOHTTP_SINCE: Final = (
    "http/test_aiohttp.py::test_each_try_of_a_retrying_middleware_is_in_one_span_with_the_last_status",
    "http/test_aiohttp.py::test_a_reconnect_of_aiohttps_own_stays_in_the_span_that_it_rescues",
)
PY_AMQP: Final = ("amqp/test_py_amqp.py", "amqp/test_kombu.py", "amqp/test_celery.py")
# Celery's history is read back from the collector's store.
COLLECTOR: Final = ("duckdb==1.5.5", "googleapis-common-protos", "grpcio", "protobuf", "pyarrow")
CELERY_CONTRIB: Final = (
    "amqp/test_celery.py::test_beside_contrib_each_message_has_one_span_of_a_kind",
)
GRPC: Final = tuple(
    f"grpc/test_{part}.py"
    for part in (
        "four_kinds",
        "outcomes",
        "cancellation",
        "context",
        "metadata",
        "conventions",
        "switching",
    )
)
ASGI: Final = ("http/test_asgi.py", "http/test_every_server.py")
FLASK: Final = ("http/test_flask.py", "http/test_every_server.py")
DJANGO: Final = ("http/test_django.py", "http/test_every_server.py")
# HTTP first: after AMQP's tests in one process, a census span may come among its spans.
OTEL: Final = ("http/test_every_client.py", "processes", "amqp/test_aiormq.py")
OTEL_BESIDE: Final = ("aiormq", "uvloop", "gunicorn", "celery", *CLIENTS)
# Our spans are held to the newest SDK: older ones have neither maps as values nor the random flag.
AGAINST_SDK: Final = "tracing/test_against_sdk.py"


@dataclass(frozen=True, slots=True)
class Row:
    """``packages`` is what stands under test, ``beside`` what its tests need as well.

    ``chosen`` and ``left_out`` go to pytest as -k and --deselect. On an ``old`` row the
    library's own deprecations on today's Python are no errors, nor is ``warns``, how the text of a
    ``ResourceWarning`` begins that the library gives without us too.
    """

    name: str
    packages: tuple[str, ...]
    tests: tuple[str, ...]
    beside: tuple[str, ...] = ()
    chosen: str = ""
    left_out: tuple[str, ...] = ()
    warns: str = ""
    old: bool = False


ROWS: Final = (
    Row(
        "aio-pika-9-old",
        ("aio-pika==9.4.*", "aiormq", "pamqp<4"),
        AIO_PIKA,
        ("uvloop",),
        warns=UNCLOSED,
        old=True,
    ),
    Row("aio-pika-9-new", ("aio-pika<10", "aiormq"), AIO_PIKA, ("uvloop",), warns=UNCLOSED),
    Row("aio-pika-10", ("aio-pika>=10", "aiormq"), AIO_PIKA, ("uvloop",)),
    Row("aiormq-alone", ("aiormq",), ("amqp/test_aiormq.py",)),
    Row("pika-old", ("pika==1.3.0",), ("amqp/test_pika.py",), ("aiormq",), old=True),
    Row("pika-new", ("pika",), ("amqp/test_pika.py",), ("aiormq",)),
    Row(
        "celery-old",
        ("amqp==5.1.1", "kombu==5.3.1", "celery==5.3.1"),
        PY_AMQP,
        COLLECTOR,
        left_out=CELERY_CONTRIB,
        old=True,
    ),
    Row(
        "celery-new",
        ("amqp", "kombu", "celery"),
        PY_AMQP,
        COLLECTOR,
        left_out=CELERY_CONTRIB,
    ),
    Row(
        "faststream-old",
        ("faststream[rabbit]==0.5.*",),
        ("amqp/test_faststream.py",),
        # 0.5 cannot consume without acknowledgements
        left_out=(f"{FASTSTREAM}::test_a_message_taken_without_acks_is_settled_by_itself",),
        warns="Unclosed <MemoryObject",
        old=True,
    ),
    Row("faststream-new", ("faststream[rabbit]",), ("amqp/test_faststream.py",)),
    Row(
        "httpx-old",
        ("httpx==0.25.0",),
        ("http/test_httpx.py", "http/test_every_client.py"),
        (*CLIENTS, *SERVERS),
        chosen="httpx",
        old=True,
    ),
    Row(
        "httpx-new",
        ("httpx",),
        ("http/test_httpx.py", "http/test_every_client.py"),
        (*CLIENTS, *SERVERS),
        chosen="httpx",
    ),
    Row(
        "requests-old",
        ("requests==2.31.0",),
        ("http/test_requests.py", "http/test_every_client.py"),
        CLIENTS,
        chosen="requests",
        old=True,
    ),
    Row(
        "requests-new",
        ("requests",),
        ("http/test_requests.py", "http/test_every_client.py"),
        CLIENTS,
        chosen="requests",
    ),
    Row(
        "aiohttp-old",
        ("aiohttp==3.9.0",),
        ("http/test_aiohttp.py", "http/test_every_client.py"),
        CLIENTS,
        chosen="aiohttp",
        left_out=AIOHTTP_SINCE,
        old=True,
    ),
    Row(
        "aiohttp-new",
        ("aiohttp",),
        ("http/test_aiohttp.py", "http/test_every_client.py"),
        CLIENTS,
        chosen="aiohttp",
    ),
    Row(
        "fastapi-old",
        ("fastapi==0.100.0", "starlette==0.27.0"),
        ASGI,
        (*SERVERS, *CLIENTS),
        chosen="asgi or starlette or fastapi",
        # before 0.33 a path did not hold the root: the test's is not found
        left_out=(ROOTED,),
        old=True,
    ),
    Row(
        "fastapi-new",
        ("fastapi", "starlette"),
        ASGI,
        (*SERVERS, *CLIENTS),
        chosen="asgi or starlette or fastapi",
    ),
    Row(
        "flask-2",
        ("flask==2.3.*", "werkzeug<3"),
        FLASK,
        (*SERVERS, *CLIENTS),
        chosen="flask",
        old=True,
    ),
    Row("flask-3", ("flask>=3", "werkzeug"), FLASK, (*SERVERS, *CLIENTS), chosen="flask"),
    Row(
        "django-4.2",
        ("django==4.2.*",),
        DJANGO,
        (*SERVERS, *CLIENTS, "werkzeug"),
        chosen="django",
        old=True,
    ),
    Row(
        "django-5.2", ("django==5.2.*",), DJANGO, (*SERVERS, *CLIENTS, "werkzeug"), chosen="django"
    ),
    Row("grpcio-old", ("grpcio==1.60.*",), GRPC, ("protobuf",), old=True),
    Row("grpcio-new", ("grpcio",), GRPC, ("protobuf",)),
    Row(
        "opentelemetry-old",
        ("opentelemetry-api==1.36.0", "opentelemetry-sdk==1.36.0"),
        OTEL,
        OTEL_BESIDE,
        old=True,
    ),
    Row(
        "opentelemetry-new",
        ("opentelemetry-api", "opentelemetry-sdk"),
        (*OTEL, AGAINST_SDK),
        ("opentelemetry-exporter-otlp-proto-common", *OTEL_BESIDE),
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a row ended: ``versions`` as installed, ``told`` pytest's summary or what went wrong."""

    row: Row
    versions: str
    passed: bool
    told: str
    seconds: float


def name_of(requirement: str) -> str:
    """The package that a requirement asks for."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found.group()


def install(row: Row, folder: Path) -> str:
    """Makes the row's environment; gives the versions under test. Raises what uv's calls raise."""
    python = folder / "bin" / "python"
    if not python.exists():
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    pinned = {name_of(requirement) for requirement in row.packages}
    others = [other for other in (*COMMON, *row.beside) if other not in pinned]
    uv("pip", "install", "-q", "-U", "--python", str(python), "-e", ".", *row.packages, *others)
    listed = uv("pip", "freeze", "--python", str(python))
    versions = dict(line.split("==") for line in listed.splitlines() if "==" in line)
    return ", ".join(f"{name} {versions[name]}" for name in map(name_of, row.packages))


def uv(*arguments: str) -> str:
    """Runs uv; gives what it prints."""
    done = subprocess.run(
        [str(UV), *arguments], cwd=ROOT, timeout=MAKE_S, check=True, capture_output=True, text=True
    )
    return done.stdout


def run(row: Row) -> Result:
    """Makes the environment and runs the tests; a failure to do so is a result too."""
    began = time.monotonic()
    folder = HOME / row.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(row.packages)
    try:
        versions = install(row, folder)
        status, told = tested(row, folder)
    except subprocess.CalledProcessError as error:
        status, told = 1, f"not installed: {(error.stderr or '').strip()[-300:]}"
    except subprocess.TimeoutExpired as error:
        status, told = 1, f"not done after {error.timeout:.0f} s"
    return Result(row, versions, status == 0, told, time.monotonic() - began)


def tested(row: Row, folder: Path) -> tuple[int, str]:
    """pytest's status and its summary."""
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-q", "--tb=short"]
    command += ["-p", "no:cacheprovider"]
    if row.old:
        command += ["-W", "ignore::DeprecationWarning"]
    if row.warns:
        command += ["-W", f"ignore:{row.warns}:ResourceWarning"]
    if row.chosen:
        command += ["-k", row.chosen]
    for test in row.left_out:
        command += ["--deselect", str(TESTS / test)]
    command += [str(TESTS / test) for test in row.tests]
    log = HOME / f"{row.name}.log"
    with log.open("w") as output:
        # pytest's own end takes the broker along; its group is this process's
        done = subprocess.run(
            command,
            cwd=ROOT,
            timeout=RUN_S,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            env={**os.environ, "VIRTUAL_ENV": str(folder)},
        )
    lines = log.read_text().strip().splitlines() or [""]
    if done.returncode in NEVER_RAN:
        return done.returncode, f"did not run: {lines[-1].strip('= ')}"
    return done.returncode, re.sub(r" in [\d.]+s.*", "", lines[-1].strip("= "))


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| row | versions | result | tests | s |", "| --- | --- | --- | --- | --- |"]
    for result in results:
        ended = "passed" if result.passed else "FAILED"
        told = result.told.replace("\n", " ").replace("|", "/")
        lines.append(
            f"| {result.row.name} | {result.versions} | {ended} | {told} | {result.seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Exit status 1 when a row failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    parser.add_argument(
        "--row", action="append", choices=[row.name for row in ROWS], help="this row only"
    )
    asked = parser.parse_args()
    rows = [row for row in ROWS if not asked.row or row.name in asked.row]
    if asked.list:
        for row in rows:
            sys.stdout.write(f"{row.name:20} {', '.join(row.packages)}\n")
        return 0
    results: list[Result] = []
    for row in rows:
        result = run(row)
        results.append(result)
        state = "passed" if result.passed else "FAILED"
        sys.stderr.write(f"· {row.name}: {state}, {result.told} ({result.seconds:.0f} s)\n")
    sys.stdout.write(table(results) + "\n")
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
