"""What commands need before they can work, and what is said when it is not there."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from strayline_collector.commands import UsageProblem


def need(module: str, extra: str) -> Any:
    """A module of ours or another's. Raises ``UsageProblem`` that names the extra it comes with."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("strayline"):
            raise
        raise UsageProblem(
            f"this command needs the extra '{extra}' ({error.name} is missing): pip install 'strayline[{extra}]'"
        ) from None


def credentials(
    token: str | None, ca: Path | None, client_cert: Path | None, client_key: Path | None
) -> Any:
    """What a client of a collector shows."""
    client = need("strayline_collector.commands.client", "collector")
    # where a collector's tokens stand in the environment, any one of them will do
    first = next(filter(None, (token or "").split(":")), None)
    return client.Credentials(first, ca, client_cert, client_key)


def check_severity(fail_on: str | None) -> None:
    """Raises ``UsageProblem``."""
    if fail_on not in (None, "info", "warning", "error"):
        raise UsageProblem(f"--fail-on {fail_on}: expected info, warning or error")


def demo_runner() -> Any:
    """The demo's code, which is no part of the installed package: beside a checkout's sources, or
    in the working directory."""
    for root in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (root / "demo_services" / "run.py").is_file():
            os.chdir(root)
            sys.path.insert(0, str(root))
            return need("demo_services.run", "demo")
    raise UsageProblem(
        "the demo is not part of the installed package: run it in a checkout of the repository, or make demo there"
    )
