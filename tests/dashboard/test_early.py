"""A page's data is asked for once, before the page asks, and given to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from strayline_dashboard import early
from strayline_dashboard.client import TOKEN
from strayline_dashboard.early import MOST, Ahead, Early


class Fetched:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, path: str, search: str) -> dict[str, Any]:
        self.asked.append((path, search))
        if path == "/broken":
            raise RuntimeError("broken")
        return {"path": path, "search": search}


def test_what_was_begun_is_taken_once_and_by_the_same_token_alone() -> None:
    async def story() -> None:
        fetched = Fetched()
        asked = Early(fetched)
        asked.ask("/queue", "?name=a%20b")
        assert asked.take("/queue", "?name=other") is None
        before = TOKEN.set("somebody else's")
        assert asked.take("/queue", "?name=a%20b") is None
        TOKEN.reset(before)
        begun = asked.take("/queue", "?name=a%20b")
        assert begun is not None
        assert await begun == {"path": "/queue", "search": "?name=a%20b"}
        assert asked.take("/queue", "?name=a%20b") is None
        assert fetched.asked == [("/queue", "?name=a%20b")]

    asyncio.run(story())


def test_what_nobody_takes_grows_old_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        fetched = Fetched()
        asked = Early(fetched)
        asked.ask("/broken", "")
        for number in range(2 * MOST):
            asked.ask(f"/{number}", "")
        await asyncio.sleep(0)
        taken = [asked.take(f"/{number}", "") for number in range(2 * MOST)]
        assert sum(task is not None for task in taken) == MOST - 1
        await asyncio.gather(*(task for task in taken if task is not None))
        asked.ask("/late", "")
        monkeypatch.setattr(early, "FRESH_S", -1.0)
        assert asked.take("/late", "") is None

    asyncio.run(story())


@pytest.mark.parametrize(
    ("method", "wanted", "path", "begins"),
    [
        ("GET", b"document", "/queue", True),
        ("GET", b"image", "/queue", False),
        ("GET", b"iframe", "/queue", False),
        ("GET", None, "/queue", False),
        ("POST", b"document", "/queue", False),
        ("GET", b"document", "/assets/style.css", False),
    ],
)
def test_a_window_that_opens_a_page_begins_it(
    method: str, wanted: bytes | None, path: str, begins: bool
) -> None:
    async def story() -> list[tuple[str, str]]:
        fetched = Fetched()
        asked = Early(fetched)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            task = asked.take(path, "?name=a%20b")
            if task is not None:
                await task

        headers = [] if wanted is None else [(b"sec-fetch-dest", wanted)]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"name=a%20b", "headers": headers}  # fmt: skip
        await Ahead(app, asked, lambda at: at == "/queue", lambda at, query: None)(
            scope, None, None
        )
        return fetched.asked

    assert asyncio.run(story()) == ([("/queue", "?name=a%20b")] if begins else [])
