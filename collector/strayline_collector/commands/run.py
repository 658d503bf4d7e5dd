"""``strayline run``: becomes the program, in an environment that has it instrumented."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from strayline.instrumentor import covers
from strayline.shims import SHIMS
from strayline.zero import environment_of_a_run
from strayline_collector.commands import UsageProblem

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""A shell's exit codes."""


def run(
    program: Sequence[str],
    service_name: str | None,
    endpoint: str | None,
    only: str | None,
    exclude: str | None,
) -> NoReturn:
    """Replaces this process by ``program``: same pid, same standard streams, its own exit code."""
    for option, names in (("--only", only), ("--exclude", exclude)):
        for name in filter(None, map(str.strip, (names or "").split(","))):
            if covers(name) is None:
                there = ", ".join(shim.name for shim in SHIMS)
                raise UsageProblem(
                    f"{option}: no instrumentation named {name!r}; there are: {there}"
                )
    if endpoint is not None and "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    environment = environment_of_a_run(
        os.environ, service_name=service_name, endpoint=endpoint, only=only, exclude=exclude
    )
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec keeps that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(program[0], list(program), environment)  # noqa: S606 - the user's own
    except OSError as error:
        code, why = _explained(program[0], error)
        sys.stderr.write(f"strayline run: {program[0]}: {why}\n")
        sys.exit(code)


def _explained(name: str, error: OSError) -> tuple[int, str]:
    found = name if os.path.dirname(name) else shutil.which(name, os.F_OK)
    if found is None or not os.path.exists(found):
        return NOT_FOUND, "not found"
    if os.path.isdir(found):
        return NOT_EXECUTABLE, "is a directory"
    if isinstance(error, FileNotFoundError):
        return NOT_EXECUTABLE, "the interpreter that its first line names is not there"
    if isinstance(error, PermissionError):
        hint = (
            f"; for a Python program: strayline run -- python {name}"
            if name.endswith(".py")
            else ""
        )
        return NOT_EXECUTABLE, f"not executable{hint}"
    return NOT_EXECUTABLE, error.strerror or str(error)
