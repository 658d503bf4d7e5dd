"""Every request of the API's reference is answered, as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import httpx
import pytest

from demo_services.processes import ROOT
from tests.support.collector import RunningCollector, running_collector

PAGE = (ROOT / "docs" / "api-calls.md").read_text("utf-8")
REQUESTS = [
    request
    for request in re.findall(r"```\n(curl .*?)\n```", PAGE, re.S)
    if "/stream" not in request
]
"""The stream never ends."""
NOBODY = {"trace_id": "9" * 32, "a": "9" * 32, "b": "8" * 32, "span_id": "9" * 16, "finding_id": "fnd_9999999999999999", "message": f"{'9' * 32}-{'9' * 16}"}  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    """With the recording that the examples are from."""
    with running_collector() as running:
        running.replay("d_reorder_nack")
        running.settle()
        yield running


@pytest.mark.parametrize(
    "request_", REQUESTS, ids=lambda text: text.split(" -H ")[0].removeprefix("curl -s ")
)
def test_a_request_is_answered(collector: RunningCollector, request_: str) -> None:
    words = shlex.split(request_)
    option = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("-")}
    url = next(word for word in words if word.startswith("http"))
    answer = httpx.request(
        option.get("-X", "GET"),
        url.replace("127.0.0.1:4319", collector.api),
        content=option.get("-d"),
        headers=dict([option["-H"].split(": ")]) if "-H" in option else None,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text


def test_what_there_is_not_is_404_where_the_document_says_so(collector: RunningCollector) -> None:
    document = collector.get("/openapi.json")
    asked = 0
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            if "404" not in call["responses"]:
                continue
            url = f"http://{collector.api}{path.format(**NOBODY)}"
            body = {"triage": "new"} if "requestBody" in call else None
            given = {"text": "x"} if path.endswith("/find") else None
            answer = httpx.request(method, url, json=body, params=given, timeout=60)
            assert answer.status_code == 404, f"{method} {path}: {answer.text}"
            asked += 1
    assert asked >= 8
