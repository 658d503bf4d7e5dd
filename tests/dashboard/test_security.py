"""Who gets in, what other sites can do, and what a token changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from strayline_dashboard.scripts import ASSETS
from tests.support.browser import clean_page, dashboard
from tests.support.collector import collector_command

pytestmark = pytest.mark.browser
TOKEN = "a-token-of-at-least-thirty-two-characters"


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    """A dashboard over a collector that wants a token, which the dashboard has."""
    with (
        collector_command("--token", TOKEN) as collector,
        dashboard(collector.api, STRAYLINE_TOKEN=TOKEN) as url,
    ):
        yield url


def test_only_this_hosts_names_are_served(ui: str) -> None:
    assert httpx.get(ui, headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(f"{ui}/data/api/v1/status", headers={"host": "evil.example"}).status_code == 421  # fmt: skip


@pytest.mark.parametrize(
    "origin",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_neither_change_nor_read_anything(
    ui: str, origin: dict[str, str]
) -> None:
    for method, path in (
        ("POST", "/_dash-update-component"),
        ("POST", "/data/api/v1/sql"),
        ("PATCH", "/data/api/v1/findings/fnd_0000000000000000"),
        ("POST", "/login"),
        ("GET", "/data/api/v1/status"),
        ("GET", "/api/v1/status"),
        ("GET", "/live"),
    ):
        answer = httpx.request(method, ui + path, headers={**origin, "content-type": "application/json"}, content=b"{}" if method != "GET" else None)  # fmt: skip
        assert answer.status_code == 403, (method, path)


def test_a_form_cannot_be_taken_for_a_question(ui: str) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = httpx.post(f"{ui}/data/api/v1/sql", headers={"content-type": media}, content=b'{"sql":"SELECT 1"}')  # fmt: skip
        assert answer.status_code == 415


def test_only_sql_and_findings_can_be_written_to(ui: str) -> None:
    for method, path in (
        ("POST", "detection/settle"),
        ("PATCH", "status"),
        ("PATCH", "findings/../x"),
    ):
        told = httpx.request(method, f"{ui}/data/api/v1/{path}", json={}).json()
        assert told["status"] == 403, path
    assert httpx.put(f"{ui}/data/api/v1/topology", json={}).status_code == 405
    assert httpx.get(f"{ui}/data/api/v1/stream").json()["status"] == 403


def test_the_policy_allows_scripts_of_this_host_alone(ui: str) -> None:
    headers = httpx.get(ui).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    assert "http" not in policy["script-src"]
    assert policy["style-src-attr"] == "'none'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_no_websocket_is_offered(ui: str) -> None:
    answer = httpx.get(
        f"{ui}/_dash-ws-callback",
        headers={"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="},
    )  # fmt: skip
    assert answer.status_code != 101


def test_a_first_request_deep_in_the_dashboard_brings_its_scripts(ui: str) -> None:
    page = httpx.get(f"{ui}/findings/fnd_0000000000000000").text
    (address,) = re.findall(r'src="(/assets/strayline\.js\?m=\w+)"', page)
    zipped = httpx.get(ui + address)
    plain = httpx.get(ui + address, headers={"accept-encoding": "identity"})
    assert (
        zipped.text == plain.text == "\n".join(p.read_text() for p in sorted(ASSETS.glob("*.js")))
    )
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.headers["cache-control"] == "public, max-age=31536000"
    assert httpx.get(f"{ui}{address}0").headers["cache-control"] == "public, max-age=0"


def test_without_a_session_nothing_is_told(locked: str) -> None:
    with httpx.Client(base_url=locked) as client:
        assert client.get("/findings?x=1").headers["location"] == "/login?next=%2Ffindings%3Fx%3D1"
        assert client.get("/data/api/v1/status").json()["status"] == 401
        for path in ("/api/v1/status", "/live", "/_dash-layout", "/_dash-dependencies"):
            answer = client.get(path)
            assert answer.status_code in (303, 401), path
        assert client.post("/_dash-update-component", json={}).status_code == 401
        assert TOKEN not in client.get("/login").text
        for wrong in ("", "wrong", "ü", TOKEN + "x"):
            assert client.post("/login", data={"token": wrong}).status_code == 403
        outward = client.post("/login?next=//evil.example", data={"token": TOKEN})
        assert outward.headers["location"] == "/"
        cookie = outward.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/data/api/v1/status").json()["status"] == 200
        client.post("/logout", headers={"content-type": "application/x-www-form-urlencoded"})
        assert client.get("/data/api/v1/status").json()["status"] == 401


def test_logging_in_leads_to_the_page_that_was_asked_for(browser: Browser, locked: str) -> None:
    with clean_page(browser, locked) as page:
        page.goto("/queues")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{locked}/queues")
        expect(page.locator("#connection")).to_contain_text("Connected")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
