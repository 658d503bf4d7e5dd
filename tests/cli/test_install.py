"""The bare install in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from demo_services.processes import ROOT


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.timeout(300)
def test_a_bare_install_is_light_and_its_console_script_names_what_is_missing(
    tmp_path: Path,
) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    assert run(uv, "venv", "--python", sys.executable, str(tmp_path / "venv")).returncode == 0
    installed = run(uv, "pip", "install", "--python", python, str(ROOT))
    assert installed.returncode == 0, installed.stderr
    listed = {
        line.partition("==")[0]
        for line in run(uv, "pip", "freeze", "--python", python).stdout.splitlines()
    }
    assert not listed & {
        "duckdb",
        "dash",
        "plotly",
        "pyarrow",
        "grpcio",
        "fastapi",
        "uvicorn",
        "httpx",
        "protobuf",
    }

    # what the dashboard explains itself with
    packages = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    shipped = packages / "strayline_dashboard" / "docs"
    for page in ("detectors/reordered.md", "dashboard/map.md", "messages.md", "sql.md"):
        assert (shipped / page).is_file(), page

    program = (
        "import strayline.auto, sys; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    imported = run(python, "-c", program, cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    assert not any(
        name in imported.stdout
        for name in ("'duckdb'", "'dash'", "'plotly'", "'pyarrow'", "'grpc'", "'typer'")
    )

    script = str(tmp_path / "venv" / "bin" / "strayline")
    waits = "import sys; print([type(f).__name__ for f in sys.meta_path].count('FirstLibrary'))"
    assert run(script, "run", "--", python, "-c", waits, cwd=tmp_path).stdout == "1\n"
    assert "Commands" in run(script, "--help", cwd=tmp_path).stdout
    for command, extra in (
        ("up", "collector"),
        ("collector", "collector"),
        ("dashboard", "dashboard"),
        ("findings", "collector"),
        ("import", "collector"),
    ):
        arguments = [command, "x.json"] if command == "import" else [command]
        done = run(script, *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert f"pip install 'strayline[{extra}]'" in done.stderr
        assert done.stderr.count("\n") == 1
    assert "checkout" in run(script, "demo", cwd=tmp_path).stderr
