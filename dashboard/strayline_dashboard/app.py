"""The dashboard: Dash carries URL and data; small renderers in ``assets/`` draw.

Callbacks return data, never component trees. The browser talks to this server alone, this server
to the collector's API alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

from dash import Dash, Input, Output, dcc, html
from fastapi import FastAPI

from strayline_dashboard import scripts
from strayline_dashboard.client import ApiProblem, Client, Entry
from strayline_dashboard.demo import add_demo
from strayline_dashboard.early import Ahead, Early
from strayline_dashboard.live import Live, add_live
from strayline_dashboard.login import Sessions, add_login
from strayline_dashboard.pages import page_of
from strayline_dashboard.protect import protect
from strayline_dashboard.services import Services
from strayline_dashboard.through import add_api

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


@dataclass(frozen=True, slots=True)
class Built:
    """The ASGI application, and its open streams, which end when it stops."""

    server: FastAPI
    live: Live


def build_app(
    api_url: str,
    allowed_hosts: tuple[str, ...] = (),
    entry: Entry | None = None,
    demo: str | None = None,
) -> Built:
    """The dashboard over a collector's API. ``allowed_hosts`` are served beside the loopback
    names, ``*`` any. ``demo``: the address of the demo's shop, whose traffic a button runs."""
    client, sessions = Client(api_url, entry), Sessions()
    live = Live(client)
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, telemetry={"tracing": False})
    add_login(server, client, sessions)
    add_live(server, live)
    add_api(server, client)
    if demo is not None:
        add_demo(server, demo)
    app = scripts.LeanDash(
        __name__,
        server=server,  # type: ignore[arg-type]  # Dash takes any backend's application
        title="Strayline",
        update_title="",
        index_string=_INDEX,
        assets_ignore=scripts.OWN,
        external_scripts=[scripts.add_scripts(server)],
        serve_locally=True,
        add_log_handler=False,
    )
    # callbacks go over HTTP; offered a websocket, Dash's renderer would try it on every page
    app.backend.websocket_capability = False
    app.layout = _layout(locked=client.locked, demo=demo is not None)
    early = Early(partial(envelope, client, Services(client)))
    _callbacks(app, early)
    server.add_middleware(
        Ahead, early=early, is_page=lambda path: page_of(path) is not None, asks=asks
    )  # type: ignore[arg-type]  # takes any ASGI application
    # Dash 4.4 finds the assets at the first request of "/" alone; a deep link would come without
    app._setup_server()  # pyright: ignore[reportPrivateUsage]
    # the hashes of inline scripts are known only once every callback is
    protect(server, client, sessions, app.csp_hashes(), allowed_hosts)
    return Built(server, live)


def _layout(*, locked: bool, demo: bool) -> html.Div:
    marks = {"data-login": locked, "data-demo": demo}
    shell: dict[str, Any] = {"id": "shell", **{n: "true" for n, is_so in marks.items() if is_so}}
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="refresh"),
            dcc.Store(id="data"),
            dcc.Store(id="drawn"),
            html.Nav(id="nav", **_NAV_LABEL),
            html.Main(html.P("Loading", className="quiet pad"), id="page", tabIndex=-1),
        ],
        **shell,
    )


def _callbacks(app: Dash, early: Early) -> None:
    @app.callback(
        Output("data", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("refresh", "data"),
    )
    async def data(path: str | None, search: str | None, refresh: Any) -> Any:
        begun = early.take(path or "/", search or "") if refresh is None else None
        return await (begun or early.begin(path or "/", search or ""))

    app.clientside_callback(_RENDER, Output("drawn", "data"), Input("data", "data"))


def asks(path: str, query: str) -> str | None:
    """What the page's renderer asks for at once by itself; of a parameter that comes twice the first
    counts, as in the browser."""
    page, rest = page_of(path) or (None, "")
    if page is None or page.asks is None:
        return None
    return page.asks(rest, dict(reversed(parse_qsl(query, keep_blank_values=True))))


def envelope(client: Client, services: Services, path: str, search: str) -> dict[str, Any]:
    """What the browser draws: the page's name and parameters, its data or why there is none, and
    the services that get their colours first."""
    found = page_of(path)
    base: dict[str, Any] = {
        "path": path,
        "search": search,
        "params": dict(parse_qsl(search.removeprefix("?"))),
        "data": None,
        "error": None,
        "away": False,
        "services": [],
    }
    if found is None:
        return {**base, "page": "missing"}
    page, rest = found
    try:
        fetched = page.fetch(client, rest, base["params"])
        return {**base, "page": page.name, "data": fetched, "services": services.names()}
    except ApiProblem as problem:
        why = {"error": str(problem), "away": problem.away, "locked": problem.locked}
        return {**base, "page": page.name, **why}
