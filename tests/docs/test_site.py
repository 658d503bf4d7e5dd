"""The documentation: builds strictly, says what the code says, and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import defaultdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from demo_services.processes import ROOT
from scripts.reference import pages
from scripts.screenshots import shots
from strayline_collector.query.api import build_api
from strayline_dashboard.pages import PAGES
from tests.support.browser import chromium, clean_page

DOCS = ROOT / "docs"
WRITTEN = pages()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FETCHED = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=[\"']?(?:https?:)?//|<link\b[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon)[^>]*\bhref=[\"']?(?:https?:)?//"
)
"""What a page makes a browser fetch from another host; links that somebody follows are none."""
MOST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return place


def test_the_site_builds_strictly_and_fetches_nothing_from_another_host(site: Path) -> None:
    built = list(site.rglob("*.html"))
    assert len(built) > len(list(DOCS.glob("*.md")))
    assert [page.name for page in built if FETCHED.search(page.read_text("utf-8"))] == []
    assert (site / "search" / "search_index.json").stat().st_size > 10_000


@pytest.mark.browser
def test_the_built_site_is_searched_and_has_both_themes(site: Path) -> None:
    handler = partial(Silent, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, chromium() as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        # anything from another host, and any error, fails on leaving
        with clean_page(browser, url) as page:
            page.goto("/index.html")
            # the search listens to keys, not to a value that is set
            page.get_by_placeholder("Search").press_sequentially("requeue")
            expect(page.locator(".md-search-result__item").first).to_be_visible()
        for theme, scheme in (("light", "default"), ("dark", "slate")):
            with clean_page(browser, url, theme=theme) as page:
                page.goto("/dashboard/trace.html")
                expect(page.locator("body")).to_have_attribute("data-md-color-scheme", scheme)
                shown = page.locator("article img:visible").first
                expect(shown).to_have_attribute("src", re.compile(rf"#only-{theme}$"))
        server.shutdown()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_that_the_code_writes_is_as_the_code_says(name: str) -> None:
    wanted = (DOCS / name).read_text("utf-8")
    assert wanted == WRITTEN[name], "run: python scripts/reference.py"


def test_every_parameter_of_the_api_is_explained() -> None:
    document = build_api(None, None, None).openapi()  # type: ignore[arg-type]
    silent = [
        f"{method} {path}: {parameter['name']}"
        for path, calls in document["paths"].items()
        for method, call in calls.items()
        for parameter in call.get("parameters", ())
        if not parameter.get("description")
    ]
    assert silent == []


def test_every_page_of_the_dashboard_has_its_page() -> None:
    named = {"console": "sql"}
    missing = [
        page.name
        for page in PAGES
        if page.name != "docs"
        and not (DOCS / "dashboard" / f"{named.get(page.name, page.name)}.md").is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"])
def test_what_lies_beside_the_docs_links_to_what_is_there(name: str) -> None:
    links = LINK.findall((ROOT / name).read_text("utf-8"))
    gone = [link for link in links if ":" not in link and not (ROOT / link).exists()]
    assert gone == []


def test_every_page_of_the_dashboard_is_pictured_by_the_script() -> None:
    anything: dict[str, str] = defaultdict(str)
    taken = {"empty"}
    for name, shot in shots(anything).items():
        taken |= {name, f"{name}-dark"} if shot.dark else {name}
    assert {picture.stem for picture in (DOCS / "images").iterdir()} == taken
    bare = [p.name for p in (DOCS / "dashboard").glob("*.md") if "](../images/" not in p.read_text("utf-8")]  # fmt: skip
    assert bare == []


def test_every_picture_is_shown_and_all_are_small() -> None:
    text = "".join(page.read_text("utf-8") for page in [ROOT / "README.md", *DOCS.rglob("*.md")])
    pictures = list((DOCS / "images").iterdir())
    assert [p.name for p in pictures if f"images/{p.name}" not in text] == []
    assert sum(p.stat().st_size for p in pictures) < MOST_BYTES


def test_every_metric_is_documented() -> None:
    text = "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))
    made = re.compile(r"(?:Gauge|Counter|Total|Histogram|Levels)\(\s*\"(strayline_\w+)\"")
    sources = (ROOT / "collector" / "strayline_collector").rglob("*.py")
    names = {name for source in sources for name in made.findall(source.read_text("utf-8"))}
    assert len(names) > 30
    assert sorted(name for name in names if f"`{name}" not in text) == []


def test_the_pages_name_calls_that_there_are() -> None:
    document = build_api(None, None, None).openapi()  # type: ignore[arg-type]
    there = [re.sub(r"\\{\w+\\}", r"[^/?]+", re.escape(path)) for path in document["paths"]]
    called = re.compile(r"(?:GET|PUT|POST|PATCH) (/(?:api/v1|api|health|ready|metrics)[\w/{}.-]*)")
    wrong = [
        f"{page.name}: {path}"
        for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
        for path in called.findall(page.read_text("utf-8"))
        if path != "/api/v2/spans" and not any(re.fullmatch(one, path) for one in there)
    ]
    assert wrong == []


def test_the_pages_name_commands_that_there_are() -> None:
    there = set(re.findall(r"^## strayline (\w+)", WRITTEN["cli.md"], re.M))
    called = re.compile(r"^(?:\$ )?strayline ([a-z]\w*)|`strayline ([a-z]\w*)", re.M)
    wrong = [
        f"{page.name}: {name}"
        for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
        for name in ("".join(found) for found in called.findall(page.read_text("utf-8")))
        if name not in there
    ]
    assert wrong == []
