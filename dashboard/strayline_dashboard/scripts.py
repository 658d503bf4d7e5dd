"""Which scripts a page loads: our own as one, since a browser asks for forty files in turn, six at a time, and
each costs it and this process more than what it holds; and of Dash's those that are used."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Final

from dash import Dash
from fastapi import FastAPI, Request
from starlette.responses import Response

ASSETS: Final = Path(__file__).parent / "assets"
OWN: Final = r"^(?!.*\.min\.js$).*\.js$"
"""Their names; what others wrote is loaded as it was published."""
_PATH: Final = "/assets/strayline.js"
_UNUSED: Final = ("/deps/polyfill@", "/dash_table/")
"""Of Dash's. What the first stands in for every browser has that can show the page, and it takes a quarter
of the page's time."""


def add_scripts(server: FastAPI) -> str:
    """Adds them to the dashboard's server, in the order of their names, as they are now; before Dash, which
    looks for every asset in a file. Returns their address, which changes when they do."""
    text = b"\n".join(path.read_bytes() for path in sorted(ASSETS.glob("*.js")))
    version = hashlib.sha256(text).hexdigest()[:16]
    zipped = gzip.compress(text, 9)

    @server.get(_PATH)
    async def script(request: Request, m: str = "") -> Response:
        # an address of another version may be asked for again
        headers = {
            "cache-control": f"public, max-age={31_536_000 if m == version else 0}",
            "vary": "accept-encoding",
        }
        packed = "gzip" in request.headers.get("accept-encoding", "")
        if packed:
            headers["content-encoding"] = "gzip"
        return Response(zipped if packed else text, media_type="text/javascript", headers=headers)

    return f"{_PATH}?m={version}"


class LeanDash(Dash):
    """Dash without what is not used of it."""

    def interpolate_index(self, *parts: str, scripts: str = "", **named: str) -> str:
        used = (tag for tag in scripts.split("\n") if not any(name in tag for name in _UNUSED))
        return super().interpolate_index(*parts, scripts="\n".join(used), **named)
