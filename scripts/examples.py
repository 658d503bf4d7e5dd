"""Writes the examples of the OpenAPI document: real answers on recorded traffic, cut short.

python scripts/examples.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.collector import running_collector  # noqa: E402 - from the checkout
from tests.support.story import CLIENT, SERVER, Told, send, trace_id  # noqa: E402

TARGET = ROOT / "collector" / "strayline_collector" / "query" / "examples.json"
KEPT = 2
HTTP: dict[str, str | int] = {"http.request.method": "GET"}


def cut(value: Any) -> Any:
    """The same shape with at most ``KEPT`` items in every list and eight in every free mapping."""
    if isinstance(value, list):
        return [cut(item) for item in value[:KEPT]]
    if isinstance(value, dict):
        return {
            key: cut(
                dict(list(item.items())[:8])
                if key in ("attributes", "resource") and isinstance(item, dict)
                else item
            )
            for key, item in value.items()
        }
    return value


def main() -> None:
    definitions = {
        "exchanges": [{"name": "orders.events", "type": "topic", "durable": True}],
        "queues": [{"name": "billing.orders", "durable": True}],
        "bindings": [
            {
                "source": "orders.events",
                "destination": "billing.orders",
                "destination_type": "queue",
                "routing_key": "order.created",
            }
        ],
    }
    broken = [
        Told(
            "call", "shop", CLIENT, 0, 50, attributes={**HTTP, "url.full": "http://stock/items/7"}
        ),
        Told(
            "serve", "stock", SERVER, 2, 48, trace="b", attributes={**HTTP, "url.path": "/items/7"}
        ),
    ]
    with running_collector() as collector:
        send(collector.otlp_http, broken)
        collector.settle()
        guessed = collector.get(f"/api/v1/traces/{trace_id('b')}", infer="true")["inferred"]
        collector.replay("python_pika")
        collector.settle()
        unnamed = collector.get("/api/v1/coverage")["unnamed"]
    with running_collector() as collector:
        collector.replay("d_reorder_nack")
        settled = collector.settle()
        topology = collector.put(
            "/api/v1/topology", definitions, role="intended", vhost="/", valid_from="0"
        )
        finding = collector.get("/api/v1/findings")["items"][0]
        message, other = finding["messages"][:2]
        identity = f"{message['trace_id']}-{message['producer_span_id']}"
        queue = {"name": "billing.orders"}
        answers = {
            "get /health": collector.get("/health"),
            "get /ready": collector.get("/ready"),
            "get /api/v1/status": collector.get("/api/v1/status"),
            "post /api/v1/detection/settle": settled,
            "get /api/v1/services": collector.get("/api/v1/services"),
            "get /api/v1/services/seen": collector.get("/api/v1/services/seen"),
            "get /api/v1/operations": collector.get("/api/v1/operations", service="billing"),
            "get /api/v1/rates": collector.get("/api/v1/rates", steps=2),
            "get /api/v1/graph": collector.get("/api/v1/graph", level="messaging"),
            "post /api/v1/sql": collector.post(
                "/api/v1/sql",
                {
                    "sql": "SELECT queue, count(*) AS deliveries FROM deliveries GROUP BY queue ORDER BY queue"
                },
            ),
            "get /api/v1/traces": collector.get("/api/v1/traces", limit=2),
            "get /api/v1/traces/{trace_id}": {
                **collector.get(f"/api/v1/traces/{message['trace_id']}", stitch="true"),
                "inferred": guessed,
            },
            "get /api/v1/traces/{trace_id}/outline": collector.get(
                f"/api/v1/traces/{message['trace_id']}/outline", stitch="true"
            ),
            "get /api/v1/traces/{trace_id}/spans": collector.get(
                f"/api/v1/traces/{message['trace_id']}/spans", stitch="true", limit=2
            ),
            "get /api/v1/traces/{trace_id}/critical_path": collector.get(
                f"/api/v1/traces/{message['trace_id']}/critical_path", stitch="true", limit=2
            ),
            "get /api/v1/traces/{trace_id}/spans/{span_id}": collector.get(
                f"/api/v1/traces/{message['trace_id']}/spans/{message['producer_span_id']}"
            ),
            "get /api/v1/traces/{trace_id}/find": collector.get(
                f"/api/v1/traces/{message['trace_id']}/find", text="order"
            ),
            "get /api/v1/critical_path": collector.get(
                "/api/v1/critical_path", service="gateway", operation="POST /orders", limit=2
            ),
            "get /api/v1/traces/{a}/compare/{b}": collector.get(
                f"/api/v1/traces/{message['trace_id']}/compare/{other['trace_id']}"
            ),
            "get /api/v1/compare": collector.get("/api/v1/compare", service="billing"),
            "get /api/v1/latency": collector.get("/api/v1/latency"),
            "get /api/v1/export": collector.get("/api/v1/export", trace_id=message["trace_id"]),
            "get /api/v1/queues": collector.get("/api/v1/queues"),
            "get /api/v1/queues/order": collector.get("/api/v1/queues/order", **queue),
            "get /api/v1/queues/routes": collector.get("/api/v1/queues/routes", **queue),
            "get /api/v1/settings": collector.get("/api/v1/settings"),
            "get /api/v1/sql/schema": collector.get("/api/v1/sql/schema"),
            "get /api/v1/messages": collector.get(
                "/api/v1/messages", queue="billing.orders", limit=2
            ),
            "get /api/v1/messages/{message}/journey": collector.get(
                f"/api/v1/messages/{identity}/journey"
            ),
            "get /api/v1/findings": collector.get("/api/v1/findings"),
            "get /api/v1/findings/{finding_id}": finding,
            "patch /api/v1/findings/{finding_id}": {
                **finding,
                "triage": "acknowledged",
                "note": "seen, fix under way",
            },
            "get /api/v1/coverage": {**collector.get("/api/v1/coverage"), "unnamed": unnamed},
            "get /api/v1/topology": topology,
            "put /api/v1/topology": topology,
            "get /api/v1/search/complete": collector.get("/api/v1/search/complete", q="queue=bi"),
            "get /api/v1/search/spread": collector.get("/api/v1/search/spread", columns=4, rows=3),
            "get /api/v1/search/distinguish": collector.get(
                "/api/v1/search/distinguish", picked=f"0~{2**62}~200000000~{2**62}"
            ),
            "get /api/services": collector.get("/api/services"),
            "get /api/services/{service}/operations": collector.get(
                "/api/services/billing/operations"
            ),
            "get /api/operations": collector.get("/api/operations", service="billing"),
            "get /api/traces": collector.get("/api/traces", service="billing", limit=1),
            "get /api/traces/{trace_id}": collector.get(f"/api/traces/{message['trace_id']}"),
            "get /api/dependencies": collector.get("/api/dependencies"),
        }
    TARGET.write_text(
        json.dumps(cut(answers), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
