"""The one place that chooses sentences: evidence first, prose from it, by ``detect/words/``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from strayline_collector.detect.words.base import Words
from strayline_collector.detect.words.fate import (
    LOST,
    dead_lettered,
    handled,
    lost,
    published_twice,
    redelivery_loop,
    stalled,
    unseen,
)
from strayline_collector.detect.words.hops import calls, context_lost, uninstrumented
from strayline_collector.detect.words.order import CAUSES as ORDER
from strayline_collector.detect.words.order import reordered
from strayline_collector.detect.words.routing import (
    alternate,
    contract,
    outlier,
    refused,
    stale_binding,
    unroutable,
)
from strayline_collector.store.ports import Row

WORDS: Final[dict[tuple[str, str | None], Callable[[Row, dict[str, Any]], Words]]] = {
    ("reordered", None): reordered,
    ("misrouted", "contract"): contract,
    ("misrouted", "stale_binding"): stale_binding,
    ("misrouted", "outlier"): outlier,
    ("misrouted", "refused"): refused,
    ("unroutable", None): unroutable,
    ("unroutable", "alternate"): alternate,
    ("lost", None): lost,
    ("lost", "unseen"): unseen,
    ("stalled", None): stalled,
    ("duplicated", "handled"): handled,
    ("duplicated", "publish_retry"): published_twice,
    ("redelivery_loop", None): redelivery_loop,
    ("dead_lettered", None): dead_lettered,
    ("context_lost", None): context_lost,
    ("uninstrumented", None): uninstrumented,
    ("uninstrumented", "call"): calls,
}
"""By kind and verdict: all that there are."""

CAUSES: Final[dict[tuple[str, str | None], Collection[str]]] = {
    ("reordered", None): ORDER,
    ("lost", None): LOST,
}
"""Of those that have any."""


def explain(incident: Row, evidence: dict[str, Any]) -> Words:
    """Words for an incident. ``evidence`` is its first message's."""
    return WORDS[incident["kind"], incident["verdict"]](incident, evidence)
