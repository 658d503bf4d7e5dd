"""``strayline check``: judged offline, in every format."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from strayline_collector.commands import reports
from tests.support.collector import running_collector
from tests.support.corpus import requests


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strayline_collector", "check", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
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


def test_junit_has_a_failed_case_for_each_finding_that_fails(misrouted: Path) -> None:
    suite = ET.fromstring(check(misrouted, "--format", "junit").stdout)
    failed = [case for case in suite if case.find("failure") is not None]
    assert len(failed) == int(suite.get("failures", "0")) > 0
    assert len(suite) == int(suite.get("tests", "0"))
    assert failed[0].get("classname") == "strayline.misrouted"


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
    suite = ET.fromstring(reports.junit([item], "error"))
    assert suite.get("failures") == "1"
    (line,) = reports.github([item]).splitlines()
    assert line.startswith("::error title=a%2Cb%3Ac%0A%3A%3Aerror")
    assert "100%25" in line


def test_no_findings_is_said_and_fine(tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text('{"resourceSpans": []}')
    assert check(empty).stdout == "no findings\n"
    assert ET.fromstring(check(empty, "--format", "junit").stdout).get("failures") == "0"


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
