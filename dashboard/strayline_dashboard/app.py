"""The dashboard: Dash carries URL, data and live updates; small renderers in ``assets/`` draw.

Callbacks return data, never component trees. The browser talks to this server alone, this server
to the collector's API alone.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from dash import Dash, Input, Output, State, dcc, html
from fastapi import FastAPI

from strayline_dashboard.client import ApiProblem, Client, Entry
from strayline_dashboard.pages import page_of
from strayline_dashboard.protect import protect

LIVE_MS: Final = 3000

_RENDER: Final = "function(data) { return window.strayline.show(data); }"
_NAV_LABEL: Final[dict[str, Any]] = {"aria-label": "Pages"}
_INDEX: Final = """<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
{%metas%}
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
<link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def build_app(
    api_url: str, allowed_hosts: tuple[str, ...] = (), entry: Entry | None = None
) -> Dash:
    """The Dash application over a collector's API; its ASGI application is ``.server``.
    ``allowed_hosts`` are served beside the loopback names, ``*`` any."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, telemetry={"tracing": False})
    app = Dash(
        __name__,
        server=server,  # type: ignore[arg-type]  # Dash takes any backend's application
        title="Strayline",
        update_title="",
        index_string=_INDEX,
        serve_locally=True,
        add_log_handler=False,
    )
    # callbacks go over HTTP; offered a websocket, Dash's renderer would try it on every page
    app.backend.websocket_capability = False
    app.layout = _layout()
    _callbacks(app, Client(api_url, entry))
    # the hashes of inline scripts are known only once every callback is
    protect(server, app.csp_hashes(), allowed_hosts)
    return app


def _layout() -> html.Div:
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="tick", interval=LIVE_MS),
            dcc.Store(id="data"),
            dcc.Store(id="drawn"),
            dcc.Store(id="action"),
            html.Nav(id="nav", **_NAV_LABEL),
            html.Main(html.P("Loading", className="quiet pad"), id="page", tabIndex=-1),
        ],
        id="shell",
    )


def _callbacks(app: Dash, client: Client) -> None:
    @app.callback(
        Output("data", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("action", "data"),
        Input("tick", "n_intervals"),
        State("data", "data"),
    )
    def data(path: str | None, search: str | None, action: Any, tick: Any, before: Any) -> Any:
        return envelope(client, path or "/", search or "", action, before)

    app.clientside_callback(_RENDER, Output("drawn", "data"), Input("data", "data"))


def envelope(client: Client, path: str, search: str, action: Any, before: Any) -> dict[str, Any]:
    """What the browser draws: the page's name and parameters, its data or why there is none.

    A tick on a page that is not live only asks whether the collector is there; the data stand.
    """
    found = page_of(path)
    base: dict[str, Any] = {
        "path": path,
        "search": search,
        "params": dict(parse_qsl(search.removeprefix("?"))),
        "error": None,
        "away": False,
        "action": before.get("action") if isinstance(before, dict) else None,
    }
    if found is None:
        return {**base, "page": "missing", "data": None}
    page, rest = found
    same = isinstance(before, dict) and (before.get("path"), before.get("search")) == (path, search)
    fresh_action = isinstance(action, dict) and action.get("id") != base["action"]
    try:
        if fresh_action:
            _act(client, action)
            base["action"] = action["id"]
        elif same and not page.live and before["data"] is not None:
            client.get("/health")
            return {**before, "away": False}
        return {**base, "page": page.name, "data": page.fetch(client, rest, base["params"])}
    except ApiProblem as problem:
        # what is on the screen stays while the collector is away
        if same and problem.away and before["data"] is not None:
            return {**before, "away": True}
        return {
            **base,
            "page": page.name,
            "data": None,
            "error": str(problem),
            "away": problem.away,
        }


def _act(client: Client, action: dict[str, Any]) -> None:
    """The one thing a person can change: what they think of a finding."""
    change = {name: action[name] for name in ("triage", "note", "muted_until") if name in action}
    client.patch(f"/api/v1/findings/{action['finding']}", change)
