"""``strayline check``: judged offline, in every format."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from strayline_collector.commands import reports
from tests.support.collector import running_collector
from tests.support.corpus import requests


def check(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "strayline_collector", "check", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=120,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@pytest.fixture(scope="module")
def misrouted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording as one protobuf file: requests one after another are one request."""
    path = tmp_path_factory.mktemp("recording") / "misrouted.pb"
    path.write_bytes(b"".join(requests("b_misroute")))
    return path


def test_a_recording_is_judged_as_a_collector_judges_it(misrouted: Path) -> None:
    done = check(misrouted, "--format", "json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    with running_collector() as collector:
        collector.replay("b_misroute")
        collector.settle()
        told = collector.findings()
    ours = {(item["id"], item["severity"], item["count"]) for item in found}
    assert ours == {(item["id"], item["severity"], item["count"]) for item in told}
    assert done.returncode == 1, "a warning fails it where nothing else is said"


def test_the_severity_that_fails_is_chosen(misrouted: Path) -> None:
    assert check(misrouted, "--fail-on", "error").returncode == 0
    assert check(misrouted, "--fail-on", "warning").returncode == 1


def test_what_is_found_is_told_with_its_messages(misrouted: Path) -> None:
    done = check(misrouted)
    assert "warning: " in done.stdout
    assert "misrouted outlier, inferred, 10 messages" in done.stdout
    assert "strayed" in done.stdout
    assert "trace_id=" in done.stdout
    assert done.stderr == (
        "strayline: judged 5,288 spans, 1,180 publishes and 1,370 deliveries: "
        "1 finding, 1 at --fail-on warning or above\n"
    )


def test_a_directory_is_its_files_and_standard_input_is_one(misrouted: Path) -> None:
    piped = check("-", "--format", "json", stdin=misrouted.read_bytes())
    (misrouted.parent / ".hidden").write_text("not traces")
    inside = check(misrouted.parent, "--format", "json")
    assert [json.loads(line)["id"] for line in piped.stdout.splitlines()] == [
        json.loads(line)["id"] for line in inside.stdout.splitlines()
    ]
    assert piped.returncode == inside.returncode == 1


def test_junit_has_a_failed_case_for_each_finding_that_fails(misrouted: Path) -> None:
    suite = ET.fromstring(check(misrouted, "--format", "junit").stdout)
    failed = [case for case in suite if case.find("failure") is not None]
    assert len(failed) == int(suite.get("failures", "0")) > 0
    assert len(suite) == int(suite.get("tests", "0"))
    assert failed[0].get("classname") == "strayline.misrouted"
    _assert_junit(suite)


_NUMBER, _TIME = r"\d+", r"\d+(\.\d+)?"
_JUNIT = {
    "testsuite": ({"name": ".+", "tests": _NUMBER, "failures": _NUMBER, "errors": _NUMBER, "skipped": _NUMBER, "time": _TIME}, {"testcase"}),
    "testcase": ({"name": ".+", "classname": ".+", "time": _TIME}, {"failure", "system-out"}),
    "failure": ({"type": ".+", "message": "(?s:.*)"}, set[str]()),
    "system-out": (dict[str, str](), set[str]()),
}  # fmt: skip
"""What the schemas of JUnit reports that are in use (Ant's, Jenkins' xunit plugin's, Maven Surefire's) all let be: of each element
its attributes, by how they must look, and its children. All of these attributes are asked for by one of them."""


def _assert_junit(suite: ET.Element) -> None:
    assert suite.tag == "testsuite"
    for element in suite.iter():
        attributes, children = _JUNIT[element.tag]
        assert set(element.keys()) == set(attributes)
        for name, value in element.items():
            assert re.fullmatch(attributes[name], value), (element.tag, name, value)
        assert {child.tag for child in element} <= children
        if element.tag == "testcase":  # at most one that says what came of it, before all output
            assert [part.tag for part in element] in ([], ["failure"], ["system-out"])
        if element.tag in ("testsuite", "testcase"):  # text belongs into what is made for it
            assert not (element.text or "").strip()
    assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
    named = [(case.get("classname"), case.get("name")) for case in suite]
    assert len(set(named)) == len(named), "a reader takes cases of one name for one"


def test_github_gets_an_annotation_on_one_line_for_each_finding(misrouted: Path) -> None:
    lines = check(misrouted, "--format", "github").stdout.splitlines()
    assert lines
    assert all(line.startswith(("::warning title=", "::notice title=")) for line in lines)


def test_text_that_would_break_a_report_is_made_harmless() -> None:
    item = {
        "kind": "misrouted", "verdict": None, "cause": None, "severity": "error",
        "confidence": "proven", "triage": "new", "count": 1, "id": "fnd_1",
        "title": "a,b:c\n::error::\x00", "explanation": "<x>&\x1b", "remedy": "100%",
        "subject": {"queue": "q\x07"}, "messages": [],
    }  # fmt: skip
    twin = {**item, "id": "fnd_2", "severity": "info"}
    suite = ET.fromstring(reports.junit([item, twin], "error"))
    _assert_junit(suite)
    assert suite.get("failures") == "1"
    (line,) = reports.github([item]).splitlines()
    assert line.startswith("::error title=a%2Cb%3Ac%0A%3A%3Aerror")
    assert "100%25" in line


def _span(trace_id: str) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": trace_id, "spanId": "00000000000000aa", "name": "GET /", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    ]}]}]})  # fmt: skip


def test_no_findings_is_said_and_fine_and_in_how_much(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(_span("0" * 31 + "1") + "\n" + _span("nothing"))
    (tmp_path / "b.jsonl").write_text("\n\n")
    done = check(tmp_path)
    assert (done.returncode, done.stdout) == (0, "no findings\n")
    assert done.stderr.splitlines() == [
        f"strayline: {tmp_path / 'b.jsonl'}: no spans",
        "strayline: 1 spans were refused: their ids are not valid",
        "strayline: judged 1 spans, 0 publishes and 0 deliveries: 0 findings, 0 at --fail-on warning or above",
        "strayline: no message was seen: only spans of a messaging instrumentation tell of any",
    ]
    suite = ET.fromstring(check(tmp_path, "--format", "junit").stdout)
    _assert_junit(suite)
    assert (len(suite), suite.get("failures")) == (1, "0")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no spans, so nothing was judged"),
        ('{"resourceSpans": []}', "no spans, so nothing was judged"),
        ('{"resourceLogs": []}', "no spans, so nothing was judged"),
        (_span("nothing"), "none of 1 spans has valid ids"),
    ],
    ids=["empty", "no spans", "logs", "ids"],
)
def test_a_build_without_telemetry_is_not_healthy(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "traces.json"
    path.write_text(content)
    done = check(path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"strayline: {path}: {why}")


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        f"strayline: {tmp_path}: a directory without files\n",
    )


@pytest.mark.parametrize("command", ["check", "collector"])
def test_a_contract_that_cannot_be_read_is_one_line_and_no_finding(
    command: str, tmp_path: Path, misrouted: Path
) -> None:
    contract = tmp_path / "shop.yaml"
    contract.write_text("asyncapi: 3.0.0\ninfo: [")
    more = [str(misrouted)] if command == "check" else ["--db", ":memory:"]
    done = subprocess.run(
        [sys.executable, "-m", "strayline_collector", command, *more, "--contract", str(contract)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, "1 means findings"
    assert done.stderr.startswith(f"strayline: {contract}:2: is neither YAML nor JSON")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"resourceSpans": [')
    done = check(broken)
    assert done.returncode == 2
    assert str(broken) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--format", "html"), ("--fail-on", "fatal")], ids=["format", "severity"]
)
def test_a_wrong_option_says_what_it_may_be(option: str, value: str, misrouted: Path) -> None:
    done = check(misrouted, option, value)
    assert done.returncode == 2
    assert f"{option} {value}: expected " in done.stderr


def _definitions(*keys: str, vhost: str | None = "/") -> str:
    """All that the recording's broker is meant to have for orders that are paid or created."""
    of = {} if vhost is None else {"vhost": vhost}
    return json.dumps({
        "exchanges": [{"name": "orders.events", "type": "topic", "durable": True, **of}],
        "queues": [{"name": "billing.orders", "durable": True, **of}],
        "bindings": [
            {"source": "orders.events", "destination": "billing.orders", "destination_type": "queue", "routing_key": key, **of}
            for key in keys
        ],
    })  # fmt: skip


def test_a_topology_says_what_is_meant(misrouted: Path, tmp_path: Path) -> None:
    path = tmp_path / "definitions.json"

    def stale(*keys: str) -> list[tuple[str, str]]:
        path.write_text(_definitions(*keys))
        done = check(misrouted, "--topology", path, "--format", "json")
        assert done.returncode == 1, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return [(f["severity"], f["subject"]["routing_key"]) for f in found if f["verdict"] == "stale_binding" and f["subject"]["queue"] == "billing.orders"]  # fmt: skip

    assert stale("order.created") == []
    assert stale("order.cancelled") == [("error", "order.created")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an object, as rabbitmqctl export_definitions writes it"),
        ('{"queues": [{"vhost": "/"}]}', "queues[0]: 'name' is missing"),
        (_definitions("k", vhost=None), "the definitions of one vhost, which they do not name"),
    ],
    ids=["broken", "a list", "a queue without a name", "one vhost"],
)
def test_a_topology_that_cannot_be_read_is_named(
    misrouted: Path, tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "definitions.json"
    path.write_text(content)
    done = check(misrouted, "--topology", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"strayline: --topology {path}: {why}")
