"""``opentelemetry-instrument``: with our distro or another one, exactly one span an operation."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support.programs import BIN, environment, run, write
from tests.support.sink import Sink

OURS = {"OTEL_PYTHON_DISTRO": "strayline"}
STOCK = {
    "OTEL_PYTHON_DISTRO": "distro",
    "OTEL_PYTHON_CONFIGURATOR": "configurator",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
UNUSED = (
    "aio-pika,aiohttp-client,celery,django,flask,grpc_aio_client,grpc_aio_server,"
    "grpc_client,grpc_server,pika,requests"
)
"""OpenTelemetry's instrumentations import what they instrument: seconds, for nothing here."""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A client and a server in one program."""
    return write(
        tmp_path,
        app="""
            import asyncio, httpx
            from starlette.applications import Starlette
            from starlette.responses import Response
            from starlette.routing import Route
            app = Starlette(routes=[Route("/hello/{name}", lambda request: Response())])
            async def main():
                transport = httpx.ASGITransport(app=app)
                async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                    assert (await client.get("/hello/me")).status_code == 200
            asyncio.run(main())
        """,
    )


def instrumented(app: Path, sink: Sink, **variables: str) -> str:
    """Runs it; gives what it wrote to stderr."""
    variables.setdefault("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", UNUSED)
    command = [BIN / "opentelemetry-instrument", "--service_name", "shop", "python", "app.py"]
    done = run(command, environment(sink.endpoint, **variables), cwd=app)
    assert done.returncode == 0, done.stderr
    return done.stderr


def operations(sink: Sink) -> list[tuple[str, int, str]]:
    return sorted((span.scope, span.kind, span.service) for span in sink.spans())


def exporters(sink: Sink) -> set[str]:
    return {headers["user-agent"].split("/")[0] for headers in sink.headers}


def both_by_shims(sink: Sink) -> bool:
    return operations(sink) == [("strayline.asgi", 2, "shop"), ("strayline.httpx", 3, "shop")]


def test_with_our_distro_shims_and_exporter_are_ours(app: Path, sink: Sink) -> None:
    instrumented(app, sink, **OURS)
    assert both_by_shims(sink), operations(sink)
    assert exporters(sink) == {"strayline"}


def test_with_the_stock_distro_shims_report_to_the_stock_exporter(app: Path, sink: Sink) -> None:
    instrumented(app, sink, **STOCK, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="")
    assert both_by_shims(sink), operations(sink)
    assert exporters(sink) == {"OTel-OTLP-Exporter-Python"}


def test_with_the_stock_distro_and_our_configurator_the_exporter_is_ours(
    app: Path, sink: Sink
) -> None:
    instrumented(app, sink, **STOCK | {"OTEL_PYTHON_CONFIGURATOR": "strayline"})
    assert both_by_shims(sink), operations(sink)
    assert exporters(sink) == {"strayline"}


@pytest.mark.parametrize("distro", [OURS, STOCK], ids=["ours", "stock"])
def test_what_no_shim_does_opentelemetrys_instrumentation_does(
    distro: dict[str, str], app: Path, sink: Sink
) -> None:
    instrumented(app, sink, **distro, STRAYLINE_EXCLUDE="asgi")
    assert {span.scope for span in sink.spans()} == {
        "opentelemetry.instrumentation.starlette",
        "strayline.httpx",
    }


@pytest.mark.parametrize("distro", [OURS, STOCK], ids=["ours", "stock"])
def test_an_instrumentation_disabled_by_opentelemetrys_variable_is_nobodys(
    distro: dict[str, str], app: Path, sink: Sink
) -> None:
    instrumented(app, sink, **distro, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=f"{UNUSED}, httpx")
    assert operations(sink) == [("strayline.asgi", 2, "shop")]


def test_disabled_altogether_there_is_nothing(app: Path, sink: Sink) -> None:
    instrumented(app, sink, **OURS, OTEL_SDK_DISABLED="true")
    assert sink.spans() == []


@pytest.mark.parametrize("first", ["strayline", "opentelemetry-distro"])
def test_with_both_distros_and_none_named_the_first_on_the_path_is_taken(
    first: str, app: Path, sink: Sink, tmp_path: Path
) -> None:
    """OpenTelemetry takes the first entry point that it meets; ours then names our configurator."""
    installed = distribution(first)
    folder = tmp_path / "first" / f"{first.replace('-', '_')}-{installed.version}.dist-info"
    folder.mkdir(parents=True)
    for name in ("METADATA", "entry_points.txt"):
        text = installed.read_text(name)
        assert text is not None
        (folder / name).write_text(text)
    path = os.pathsep.join([str(tmp_path / "first"), os.environ.get("PYTHONPATH", "")])
    variables = {name: value for name, value in STOCK.items() if "PYTHON" not in name}
    said = instrumented(app, sink, **variables, PYTHONPATH=path.rstrip(os.pathsep))
    assert both_by_shims(sink), operations(sink)
    expected = "strayline" if first == "strayline" else "OTel-OTLP-Exporter-Python"
    assert exporters(sink) == {expected}
    assert "Traceback" not in said


def test_of_fastapis_own_telemetry_and_all_others_one_is_heard(app: Path, sink: Sink) -> None:
    (app / "app.py").write_text(
        (app / "app.py")
        .read_text()
        .replace("app = Starlette(", "import fastapi; app = fastapi.FastAPI(")
    )
    for distro in (OURS, STOCK):
        sink.clear()
        instrumented(app, sink, **distro)
        assert [span.kind for span in sink.spans() if span.kind > 1].count(2) == 1, operations(sink)


def test_strayline_run_around_it_or_within_it_doubles_nothing(app: Path, sink: Sink) -> None:
    outer = [shutil.which("strayline", path=str(BIN)), "run", "--"]
    inner = [BIN / "opentelemetry-instrument", "--service_name", "shop"]
    for command in ([*outer, *inner, "python", "app.py"], [*inner, *outer, "python", "app.py"]):
        sink.clear()
        done = run(command, environment(sink.endpoint, **OURS), cwd=app)
        assert done.returncode == 0, done.stderr
        assert both_by_shims(sink), operations(sink)


@pytest.mark.parametrize("ours_first", [True, False])
def test_an_application_that_instruments_with_opentelemetry_itself_doubles_nothing(
    ours_first: bool, app: Path, sink: Sink
) -> None:
    theirs = (
        "from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor\n"
        "HTTPXClientInstrumentor().instrument()\n"
    )
    ours = "import strayline.auto\n"
    text = (app / "app.py").read_text()
    (app / "app.py").write_text((ours + theirs if ours_first else theirs + ours) + text)
    done = run([BIN / "python", "app.py"], environment(sink.endpoint), cwd=app)
    assert done.returncode == 0, done.stderr
    assert sorted(span.kind for span in sink.spans()) == [2, 3], operations(sink)
