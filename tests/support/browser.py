"""Chromium on the dashboard: a page that fails the test on anything unclean."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--force-color-profile=srgb", "--font-render-hinting=none",
]  # fmt: skip


@contextmanager
def chromium() -> Generator[Browser]:
    """The system's Chromium, headless."""
    path = next(
        (p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None
    )
    assert path is not None, "no Chromium found: install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def clean_page(
    browser: Browser,
    base_url: str,
    *,
    theme: str = "light",
    allow_errors: bool = False,
    size: tuple[int, int] = (1440, 900),
    newcomer: bool = False,
    zone: str = "UTC",
) -> Generator[Page]:
    """A page on the dashboard. Leaving the block fails on any console error or warning, page error,
    error status, or request to another host. A ``newcomer`` is shown the tour."""
    context = browser.new_context(
        base_url=base_url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        timezone_id=zone,
    )
    if not newcomer:
        context.add_init_script("localStorage.setItem('strayline.tour', 'done')")
    page = context.new_page()
    dirt: list[str] = []
    host = urlsplit(base_url).netloc
    page.on(
        "console",
        lambda m: (
            dirt.append(f"console {m.type} at {page.url[:200]}: {m.text}")
            if m.type in ("error", "warning")
            else None
        ),
    )
    page.on("pageerror", lambda e: dirt.append(f"page error: {e}"))
    page.on(
        "response", lambda r: dirt.append(f"HTTP {r.status} {r.url}") if r.status >= 400 else None
    )
    page.on(
        "request",
        lambda r: (
            dirt.append(f"request to {r.url}") if urlsplit(r.url).netloc not in (host, "") else None
        ),
    )
    try:
        yield page
    finally:
        context.close()
    assert allow_errors or dirt == [], "\n".join(dirt)


def until(page: Page, expression: str, *, seconds: float = 10) -> None:
    """Waits until a JavaScript expression holds. Playwright's own way evaluates text in the page,
    which the dashboard's content security policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not so after {seconds} s: {expression}"
        page.wait_for_timeout(20)


@contextmanager
def dashboard(api: str, **environment: str) -> Generator[str]:
    """A dashboard process on a free port, with more in its environment; yields its URL."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "strayline_dashboard",
            "--api",
            f"http://{api}",
            "--ui",
            "127.0.0.1:0",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, f"the dashboard did not start: {line}"
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()
    assert process.returncode == 0, "told to stop, it did not end as one that was told to"
