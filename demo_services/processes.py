"""Starting and stopping the demo's processes: each a child of its own, gone with its parent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from demo_services.broker import dies_with_parent, ended

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 30.0
STOP_S: Final = 15.0


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


class Process:
    """One child. Its standard error goes to a file that is shown when it fails."""

    def __init__(
        self, name: str, arguments: list[str], environment: Mapping[str, str], directory: Path
    ) -> None:
        self.name = name
        self._started = (arguments, environment, directory)
        self._log = directory / f"{name}.log"
        self._drain: threading.Thread | None = None
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=dies_with_parent(),  # noqa: PLW1509 - our own children, before threads
                start_new_session=True,
            )

    def again(self) -> Process:
        """The same once more."""
        return Process(self.name, *self._started)

    def first_line(self) -> str:
        """The first line it says, which every demo process says when it serves. Raises
        ``DemoError`` when it ends or stays silent."""
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(self._out.readline()), daemon=True)
        reader.start()
        reader.join(START_S)
        if not lines or not lines[0]:
            last = (self.said().strip().splitlines() or [""])[-1]
            if last.startswith("strayline: "):  # it has said itself what is wrong
                raise DemoError(last.removeprefix("strayline: "))
            raise DemoError(f"{self.name} did not start:\n{self.said()}")
        self._drain = threading.Thread(target=self._read_rest, daemon=True)
        self._drain.start()
        return lines[0].strip()

    def check(self) -> None:
        """Raises ``DemoError`` when it has ended."""
        if self._child.poll() is not None:
            raise DemoError(f"{self.name} {ended(self._child.returncode, self.said())}")

    def said(self) -> str:
        """The end of its standard error."""
        return self._log.read_text(errors="replace")[-2000:]

    def terminate(self) -> None:
        if self._child.poll() is None:
            self._child.terminate()

    def wait(self, deadline: float) -> int:
        """Its exit code; killed when it does not end by ``deadline`` (of the monotonic clock)."""
        try:
            code = self._child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        if self._drain is not None:
            self._drain.join()
        else:
            self._out.close()
        return code

    def _read_rest(self) -> None:
        """A full pipe would stop the child; what it says later is nobody's."""
        with self._out:
            self._out.read()

    @property
    def _out(self) -> IO[str]:
        if self._child.stdout is None:
            raise DemoError(f"{self.name} has no output")
        return self._child.stdout


def stop_all(processes: list[Process]) -> None:
    """SIGTERM to all, then waits for them, ``STOP_S`` together; who is left then is killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes:
        process.wait(deadline)


def free_address() -> str:
    """A loopback address that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def read_logs(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """The truth logs written so far, by service; a line still being written is left out."""
    logs: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(directory.glob("*.truth")):
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        logs[path.stem] = [json.loads(line) for line in whole.splitlines()]
    return logs
