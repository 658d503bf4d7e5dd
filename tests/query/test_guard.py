"""The API against other sites' pages: rebound names, foreign origins, forms, frames."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from strayline_collector.access import Access
from strayline_collector.query.guard import Gate
from tests.support.collector import RunningCollector, collector_command


@pytest.fixture(scope="module")
def collector() -> Iterator[RunningCollector]:
    with collector_command("--allowed-host", "strayline.internal") as running:
        yield running


@pytest.fixture
def client(collector: RunningCollector) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{collector.api}") as found:
        yield found


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost", True), ("LOCALHOST:1", True), ("127.0.0.1:9", True), ("[::1]:4319", True), ("localhost.", True),
        ("strayline.internal", True), ("evil.example", False), ("127.0.0.1.evil.example", False), ("localhost.evil.example", False),
        ("evil.example@127.0.0.1", True), ("127.0.0.1@evil.example", False), ("", False), ("[", False), ("10.0.0.1", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_only_its_own_names_are_served(client: httpx.Client, host: str, served: bool) -> None:
    answer = client.get("/api/v1/status", headers={"host": host})
    assert answer.status_code == (200 if served else 421)


def test_on_every_address_bare_ones_are_served_and_names_when_a_token_is_asked_for() -> None:
    gate = Gate(hosts=frozenset({"0.0.0.0", "me"}), any_address=True)
    assert [gate.serves(h) for h in ("10.0.0.1", "::2", "me", "evil.example")] == [True, True, True, False]  # fmt: skip
    assert Gate(access=Access(("t",)), any_address=True).serves("strayline.example")
    assert not Gate(access=Access(("t",))).serves("strayline.example")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": "http://["},
        {"origin": "http://127.0.0.1:1"}, {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/detection/settle"), ("POST", "/api/v1/sql"), ("PATCH", "/api/v1/findings/x"), ("PUT", "/api/v1/topology"), ("GET", "/api/v1/stream")],
)  # fmt: skip
def test_pages_of_other_origins_change_nothing_and_open_no_stream(
    client: httpx.Client, headers: dict[str, str], method: str, path: str
) -> None:
    assert client.request(method, path, headers=headers).status_code == 403


def test_our_own_origin_and_programs_are_served(
    client: httpx.Client, collector: RunningCollector
) -> None:
    own = {"origin": f"http://{collector.api}", "sec-fetch-site": "same-origin"}
    assert client.post("/api/v1/detection/settle", headers=own).status_code == 200
    assert client.post("/api/v1/detection/settle").status_code == 200


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded; charset=utf-8", "Multipart/Form-Data; boundary=x"],
)  # fmt: skip
def test_what_a_form_can_send_runs_nothing(client: httpx.Client, media: str) -> None:
    for path in ("/api/v1/sql", "/api/v1/detection/settle"):
        answer = client.post(path, content=b'{"sql": "SELECT 1"}', headers={"content-type": media})
        assert answer.status_code == 415
        assert answer.headers["content-type"] == "application/problem+json"


def test_no_other_origin_is_ever_allowed(client: httpx.Client) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for answer in (
        client.options("/api/v1/sql", headers=asked),
        client.get("/api/v1/status", headers={"origin": "https://evil.example"}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/v1/status", "/health", "/nonsense", "/openapi.json"])
def test_every_answer_says_what_a_browser_may_make_of_it(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")  # fmt: skip
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    refused = client.get(path, headers={"host": "evil.example"}).headers
    assert refused["content-security-policy"] == headers["content-security-policy"]
