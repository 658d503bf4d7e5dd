"""Programs that are tests themselves: started, watched and gone after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
STRAYLINE = str(BIN / "strayline")


def environment(endpoint: str | None = None, **more: str) -> dict[str, str]:
    """This process's environment without what others may have said about telemetry."""
    made = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "STRAYLINE_", "PYTEST_", "COV_"))
    }
    made["PATH"] = f"{BIN}{os.pathsep}{made.get('PATH', '')}"
    if endpoint is not None:
        made["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    return made | more


def write(folder: Path, **files: str) -> Path:
    """Writes ``name.py`` for each; gives the folder."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def run(
    command: Sequence[str | Path],
    env: dict[str, str],
    *,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Runs to the end. What became of it is the caller's to judge."""
    return subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@contextmanager
def started(
    command: Sequence[str | Path], env: dict[str, str], *, cwd: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, which is killed when the block ends."""
    process = subprocess.Popen(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
