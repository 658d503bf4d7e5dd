"""What the bare import costs and touches."""

from __future__ import annotations

import json
import subprocess
import sys


def _modules_after(statement: str) -> set[str]:
    program = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(out.stdout.splitlines()[-1]))


def test_importing_strayline_imports_no_opentelemetry_sdk() -> None:
    assert not any(
        name.startswith("opentelemetry.sdk") for name in _modules_after("import strayline")
    )


def test_auto_brings_nothing_of_collector_or_dashboard() -> None:
    """With no supported library wanted, nothing heavy is imported."""
    program = "import os; os.environ['STRAYLINE_INSTRUMENT']='httpx'; import strayline.auto"
    loaded = {name.partition(".")[0] for name in _modules_after(program)}
    assert not loaded & {
        "duckdb",
        "dash",
        "plotly",
        "pyarrow",
        "grpc",
        "requests",
        "typer",
        "uvicorn",
        "google",
    }


def test_the_console_script_starts_without_extras() -> None:
    loaded = {name.partition(".")[0] for name in _modules_after("import strayline_collector.cli")}
    assert not loaded & {"duckdb", "dash", "plotly", "pyarrow", "grpc", "fastapi", "httpx"}
