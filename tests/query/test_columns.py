"""Lists as Arrow: the same rows, and columns that do not depend on what a page holds."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pyarrow as pa
import pytest

from strayline_collector.query.columns import arrow_type
from strayline_collector.query.sql import ARROW
from tests.support.collector import RunningCollector


def _arrow(collector: RunningCollector, path: str, **asked: Any) -> tuple[pa.Table, httpx.Headers]:
    answer = httpx.get(f"http://{collector.api}{path}", params=asked, headers={"accept": ARROW})
    assert (answer.status_code, answer.headers["content-type"]) == (200, ARROW), answer.text
    with pa.ipc.open_stream(answer.content) as reader:
        return reader.read_all(), answer.headers


def _plain(value: Any) -> Any:
    """As Arrow gives it back: what has no fixed shape as JSON text."""
    if isinstance(value, dict):
        return {name: json.dumps(v) if name == "evidence" else _plain(v) for name, v in value.items()}  # fmt: skip
    return [_plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "path",
    ["services", "services/seen", "operations?service=billing", "traces", "queues", "messages?queue=billing.orders", "findings", "latency", "coverage"],
)  # fmt: skip
def test_a_list_as_arrow_holds_the_rows_of_the_json(collector: RunningCollector, path: str) -> None:
    name, _, query = path.partition("?")
    asked = dict(pair.split("=") for pair in query.split("&") if pair)
    told = collector.get(f"/api/v1/{name}", **asked)
    table, headers = _arrow(collector, f"/api/v1/{name}", **asked)
    assert told["items"]
    assert table.to_pylist() == _plain(told["items"])
    assert headers.get("strayline-next-cursor") == told["next_cursor"]
    assert not any(pa.types.is_null(field.type) for field in table.schema)


def test_an_empty_page_has_the_columns_of_a_full_one(collector: RunningCollector) -> None:
    full, _ = _arrow(collector, "/api/v1/findings")
    empty, _ = _arrow(collector, "/api/v1/findings", queue="none.of.this.name")
    assert empty.num_rows == 0
    assert empty.schema == full.schema


def test_what_is_no_list_and_what_failed_stays_json(collector: RunningCollector) -> None:
    for path, status in (("status", 200), ("graph", 200), ("traces?q=duration>fast", 400), ("findings?kind=late", 400)):  # fmt: skip
        answer = httpx.get(f"http://{collector.api}/api/v1/{path}", headers={"accept": ARROW})
        assert answer.status_code == status
        assert "json" in answer.headers["content-type"]


def test_a_kind_of_finding_that_does_not_exist_is_named(collector: RunningCollector) -> None:
    answer = httpx.get(f"http://{collector.api}/api/v1/findings", params={"kind": "late"})
    assert answer.status_code == 400
    assert "kind=late: Input should be 'reordered', 'misrouted'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("hint", "kind"),
    [(int | None, pa.int64()), (list[str], pa.list_(pa.string())), (dict[str, Any], pa.string()), (int | str, pa.string()), (Any, pa.string())],
)  # fmt: skip
def test_types_of_columns(hint: Any, kind: pa.DataType) -> None:
    assert arrow_type(hint) == kind
