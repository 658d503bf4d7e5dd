"""Query parameters that a call does not take are refused: a misspelt filter would be no filter, and
its answer would pass for the filtered one. So are those given twice, of which one would be lost."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import Any, Final, get_args, get_origin

from fastapi import Request
from fastapi.routing import APIRoute

from strayline_collector.errors import BadInput

STRICT: Final = "/api/v1/"
"""Below it the names are ours. Jaeger's calls are made by its own clients, which send what other
versions take, and probes of ``/ready`` or ``/metrics`` what their programs add."""
SHOWN: Final = 80


def refuse_unknown(request: Request) -> None:
    """To be a dependency of every route. Raises ``BadInput``."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.path.startswith(STRICT):
        return
    known = {
        field.alias: _takes_many(field.field_info.annotation)
        for field in route.dependant.query_params
    }
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        if name not in known:
            raise BadInput(f"{name[:SHOWN]}: {_remedy(name, set(known), route.path)}")
        if count > 1 and not known[name]:
            raise BadInput(f"{name}: given {count} times, and only one would count")


def _takes_many(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_takes_many, get_args(annotation)))


def _remedy(name: str, known: set[str], path: str) -> str:
    if not known:
        return f"{path} takes no parameters in its query"
    near = get_close_matches(name[:SHOWN].lower(), sorted(known), n=1)
    meant = f", the nearest is {near[0]}" if near else ""
    return f"{path} takes no such parameter{meant}; it takes {', '.join(sorted(known))}"
