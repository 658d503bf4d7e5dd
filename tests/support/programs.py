"""Programs that are tests themselves: started, watched and gone after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass
class Program:
    """One that goes on while the test does. Both its streams are ``output()``."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self, text: str, count: int = 1, timeout: float = 60) -> list[str]:
        """The lines with ``text`` in them, once there are ``count``."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None
            found = [line for line in self.output().splitlines() if text in line]
            if len(found) >= count:
                return found
            assert not ended, f"it ended before {text!r} was seen:\n{self.output()}"
            assert time.monotonic() < deadline, f"no {text!r} in {timeout} s:\n{self.output()}"
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 60) -> int:
        """Signals it and gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextmanager
def started(command: Sequence[str | Path], env: dict[str, str], *, cwd: Path) -> Iterator[Program]:
    """A program in a process group of its own, which is killed when the block ends."""
    log = cwd / f"output-{uuid.uuid4().hex}"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=env,
            cwd=cwd,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(30)
