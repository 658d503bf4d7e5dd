"""The command line: help, tables, files, and one clear line for what cannot be."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from demo_services.processes import ROOT
from strayline_collector.commands.findings import table
from tests.support.collector import running_collector
from tests.support.corpus import requests, truth


def strayline(
    *arguments: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strayline_collector", *arguments],
        cwd=cwd, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command", ["up", "collector", "dashboard", "findings", "import", "export", "demo", "sql"]
)
def test_help_shows_defaults_and_an_example(command: str) -> None:
    done = strayline(command, "--help")
    assert done.returncode == 0
    assert f"Example: strayline {command}" in done.stdout
    if command != "import":
        assert "default" in done.stdout


def clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("·")]  # progress
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("strayline: ")
    assert all(word in done.stderr for word in words), done.stderr


def test_a_group_of_commands_alone_is_its_help() -> None:
    """As lines, not as one that begins with the program's name."""
    done = strayline()
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: strayline [OPTIONS] COMMAND")
    assert "\n  findings   Lists findings" in done.stderr


def test_a_reader_that_has_gone_is_no_finding_and_a_full_disk_is_one_line() -> None:
    """``| head`` with a command's exit code looked at must not say 1."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "strayline_collector", "--help"]
    with open(writing, "wb") as gone, open("/dev/full", "wb") as full:
        codes = [
            subprocess.run(command, cwd=ROOT, stdout=to, stderr=subprocess.PIPE, text=True, timeout=60)
            for to in (gone, full)
        ]  # fmt: skip
    assert (codes[0].returncode, codes[0].stderr) == (141, "")
    assert (codes[1].returncode, codes[1].stderr.count("\n")) == (2, 1)
    assert codes[1].stderr.startswith("strayline: standard output cannot be written: ")


def test_unknown_options_and_commands() -> None:
    clear_line(strayline("collector", "--colour", "red"), "--colour")
    clear_line(strayline("collekt"), "collekt")
    clear_line(strayline("findings", "--fail-on", "doom"), "doom")


def test_addresses_that_cannot_be(tmp_path: Path) -> None:
    clear_line(
        strayline("collector", "--db", ":memory:", "--otlp-http", "here"),
        "--otlp-http here",
        "HOST:PORT",
    )
    clear_line(
        strayline("collector", "--db", ":memory:", "--api", "0.0.0.0:0"),
        "--api 0.0.0.0:0",
        "--insecure",
    )
    clear_line(strayline("dashboard", "--ui", "0.0.0.0:0"), "--ui 0.0.0.0:0", "--insecure")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        free = {"--otlp-http": "127.0.0.1:0", "--otlp-grpc": "127.0.0.1:0", "--api": "127.0.0.1:0"}
        for option in free:
            doors = [part for pair in {**free, option: address}.items() for part in pair]
            clear_line(
                strayline("collector", "--db", str(tmp_path / "x.duckdb"), *doors),
                f"{option} {address}",
                "in use",
            )
        clear_line(strayline("dashboard", "--ui", address), "--ui", "in use")


def test_database_files_that_are_not_ours(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("not a database\n" * 300)
    doors = ("--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", "127.0.0.1:0")
    clear_line(
        strayline("collector", "--db", str(foreign), *doors), str(foreign), "not a DuckDB file"
    )
    assert foreign.read_text() == "not a database\n" * 300
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
    clear_line(strayline("collector", "--db", str(other), *doors), str(other), "not Strayline's")
    clear_line(
        strayline("collector", "--db", str(tmp_path / "no" / "x.duckdb"), *doors), "does not exist"
    )


def test_a_file_in_use_is_refused_and_the_running_collector_untouched(tmp_path: Path) -> None:
    db = tmp_path / "s.duckdb"
    doors = ("--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", "127.0.0.1:0")
    with running_collector(db) as collector:
        clear_line(
            strayline("collector", "--db", str(db), *doors), str(db), "in use by another process"
        )
        assert collector.get("/health") == {"status": "alive"}


def test_a_collector_or_broker_that_does_not_answer() -> None:
    clear_line(
        strayline("findings", "--api", "http://127.0.0.1:9"), "http://127.0.0.1:9", "strayline up"
    )
    clear_line(
        strayline("demo", "--once", AMQP_URL="amqp://127.0.0.1:9/"),
        "amqp://127.0.0.1:9/",
        "cannot be reached",
    )
    clear_line(strayline("demo", "--once", "--orders", "99"), "--orders 99", "100")
    clear_line(strayline("demo", "--faults", "gremlins"), "gremlins", "misroute")


def test_findings_as_table_json_and_exit_code() -> None:
    with running_collector() as collector:
        assert strayline("findings", "--api", f"http://{collector.api}").stdout == "no findings\n"
        clear_line(strayline("findings", "--api", collector.otlp_http), "--api", "calls api")
        clear_line(
            strayline("findings", "--api", collector.api, "--kind", "late"),
            "kind=late: ",
            "reordered",
        )
        collector.replay("b_misroute")
        collector.settle()
        listed = strayline("findings", "--api", f"http://{collector.api}", "--fail-on", "warning")
        assert (listed.returncode, listed.stdout.split()[:3]) == (1, ["warning", "10", "misrouted"])
        lines = strayline(
            "findings", "--json", "--kind", "misrouted", STRAYLINE_API=f"http://{collector.api}"
        ).stdout.splitlines()
        assert [json.loads(line)["count"] for line in lines] == [10]
        assert (
            strayline(
                "findings", "--api", f"http://{collector.api}", "--fail-on", "error"
            ).returncode
            == 0
        )


def test_the_table_says_what_people_said() -> None:
    """A muted warning beside exit code 0 is no contradiction then."""
    item = {"severity": "warning", "count": 3, "kind": "lost", "verdict": None, "cause": None}
    items = [{**item, "title": "t", "id": i, "triage": i} for i in ("new", "muted")]
    assert table(items).splitlines() == [
        "warning          3  lost  t  new",
        "warning (muted)  3  lost  t  muted",
    ]


def test_import_takes_protobuf_and_json_and_sends_nothing_when_one_file_is_bad(
    tmp_path: Path,
) -> None:
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bodies = requests("b_misroute")
    half = len(bodies) // 2
    whole = ExportTraceServiceRequest()
    for body in bodies[:half]:
        whole.MergeFromString(body)
    (tmp_path / "a.pb.gz").write_bytes(gzip.compress(whole.SerializeToString()))
    with (tmp_path / "b.jsonl").open("w") as file:
        for body in bodies[half:]:
            file.write(
                json.dumps(_otlp_json(MessageToDict(ExportTraceServiceRequest.FromString(body))))
                + "\n"
            )
    bad = tmp_path / "c.jsonl"
    bad.write_text('{"resourceSpans": []}\n{"resourceSpans": [1]}\n')
    with running_collector() as collector:
        target = ("--otlp-http", collector.otlp_http)
        clear_line(strayline("import", str(tmp_path / "a.pb.gz"), str(bad), *target), "c.jsonl:2")
        clear_line(strayline("import", str(tmp_path / "none.json"), *target), "none.json")
        assert collector.get("/api/v1/status")["ingest"]["accepted_spans"] == 0
        done = strayline("import", str(tmp_path / "a.pb.gz"), str(tmp_path / "b.jsonl"), *target)
        assert done.returncode == 0, done.stderr
        collector.settle()
        assert collector.get("/api/v1/status")["spans"] == truth("b_misroute")["spans"]
        assert [f["count"] for f in collector.findings()] == [10]


def _otlp_json(document: dict[str, object]) -> dict[str, object]:
    """MessageToDict writes base64 ids and enum names; OTLP/JSON wants hex and numbers."""
    import base64

    def fixed(value: object, name: str = "") -> object:
        if isinstance(value, dict):
            return {key: fixed(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [fixed(item, name) for item in value]
        if name in ("traceId", "spanId", "parentSpanId"):
            return base64.b64decode(str(value)).hex()
        if isinstance(value, str) and value.startswith("SPAN_KIND_"):
            return ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].index(
                value[10:]
            )
        if isinstance(value, str) and value.startswith("STATUS_CODE_"):
            return ["UNSET", "OK", "ERROR"].index(value[12:])
        return value

    return fixed(document)  # type: ignore[return-value]


def test_a_broker_without_its_management_api_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        amqp = f"amqp://127.0.0.1:{listener.getsockname()[1]}/"
        done = strayline(
            "demo", "--once", AMQP_URL=amqp, RABBITMQ_MANAGEMENT_URL="http://127.0.0.1:9"
        )
    clear_line(done, "http://127.0.0.1:9", "RABBITMQ_MANAGEMENT_URL")
