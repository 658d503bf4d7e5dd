"""Every verdict that there can be, with its causes and severities, and which tests show it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

Shown = tuple[str, str, str, str]
"""Kind, verdict, cause and severity; empty where there is none."""

_ALLOWED: Final = {
    ("reordered", "", "dead_letter_retry"): "info error",
    ("reordered", "", "republished"): "info error",
    ("reordered", "", "requeue"): "warning error",
    ("reordered", "", "failover"): "warning",
    ("reordered", "", "channel_closed"): "info warning",
    ("reordered", "", "publish_retry"): "warning error",
    ("reordered", "", "priority"): "info error",
    ("reordered", "", "concurrent_handlers"): "info error",
    ("reordered", "", "competing_consumers"): "info error",
    ("reordered", "", "broker"): "error",
    ("reordered", "", "unknown"): "info error",
    ("misrouted", "stale_binding", ""): "warning error",
    ("misrouted", "contract", ""): "error",
    ("misrouted", "outlier", ""): "warning",
    ("misrouted", "refused", ""): "warning",
    ("unroutable", "", ""): "info warning error",
    ("unroutable", "alternate", ""): "info",
    ("lost", "", "expired"): "info",
    ("lost", "", "max_length"): "info",
    ("lost", "", "purged"): "info",
    ("lost", "", "queue_deleted"): "error",
    ("lost", "", "auto_ack_consumer"): "error",
    ("lost", "", "discarded"): "warning",
    ("lost", "", "unknown"): "error",
    ("lost", "unseen", ""): "info warning",
    ("stalled", "", ""): "warning",
    ("duplicated", "handled", ""): "warning error",
    ("duplicated", "publish_retry", ""): "warning",
    ("redelivery_loop", "", ""): "warning error",
    ("dead_lettered", "", ""): "info warning",
    ("context_lost", "", ""): "warning",
    ("uninstrumented", "", ""): "info",
    ("uninstrumented", "call", ""): "info",
}
"""As ``docs/messages.md`` defines them, sections 3 and 5."""

ALLOWED: Final[frozenset[Shown]] = frozenset(
    (*what, severity) for what, severities in _ALLOWED.items() for severity in severities.split()
)


def marked() -> dict[Shown, str]:
    """What tests on written histories say that they show (``pytest.mark.shows``): → the module. Read
    from their text, so that nothing need be imported; ``tests/detect/conftest.py`` holds them to it."""
    found: dict[Shown, str] = {}
    for module in sorted((Path(__file__).parents[1] / "detect").glob("test_*.py")):
        for said in _marks(ast.parse(module.read_text())):
            found[said] = module.name
    return found


def _marks(tree: ast.Module) -> Iterator[Shown]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.shows":
            kind, verdict, cause, severity = map(ast.literal_eval, node.args)
            yield kind, verdict, cause, severity
