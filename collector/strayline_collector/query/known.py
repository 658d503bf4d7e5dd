"""Query parameters that a call does not take are refused: a misspelt filter would be no filter, and
its answer would pass for the filtered one."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

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
    known = {field.alias for field in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            raise BadInput(f"{name[:SHOWN]}: {_remedy(name, known, route.path)}")


def _remedy(name: str, known: set[str], path: str) -> str:
    if not known:
        return f"{path} takes no parameters in its query"
    near = get_close_matches(name[:SHOWN].lower(), sorted(known), n=1)
    meant = f", the nearest is {near[0]}" if near else ""
    return f"{path} takes no such parameter{meant}; it takes {', '.join(sorted(known))}"
