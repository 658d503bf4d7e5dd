"""Builds the native decoder in place, when its sources changed: python scripts/native.py

Needs a C++17 compiler (``CXX``, else c++, g++ or clang++) and Python's headers. One build serves
every Python from 3.11 on (limited API).
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
NATIVE: Final = ROOT / "collector" / "strayline_collector" / "decode" / "native"
FLAGS: Final = ("-std=c++17", "-O3", "-g0", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")


class CannotBuild(Exception):
    """One line: what is missing or what the compiler said."""


def build() -> Path:
    """The module, built if it is not there or not from these sources. Raises ``CannotBuild``."""
    sources = _sources()
    digest = sources.digest()
    target: Path = sources.MODULE
    if target.exists() and digest.encode() in target.read_bytes():
        return target
    compiler = find_compiler()
    if compiler is None:
        raise CannotBuild("no C++ compiler: install g++ or clang++, or set CXX")
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        raise CannotBuild(f"Python's headers are missing from {include}: install python3-dev")
    with tempfile.TemporaryDirectory(dir=NATIVE) as name:
        folder = Path(name)
        files = sorted(sources.SOURCES.glob("*.cpp"))
        objects = [folder / f"{file.stem}.o" for file in files]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(
                pool.map(
                    lambda file, target: _run(
                        *compiler, *FLAGS, f"-I{include}", f'-DSTRAYLINE_SOURCES="{digest}"',
                        "-c", str(file), "-o", str(target),
                    ),
                    files,
                    objects,
                )
            )  # fmt: skip
        link = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
        built = folder / target.name
        _run(*compiler, "-shared", *link, *map(str, objects), "-o", str(built))
        built.replace(target)  # whoever has the old one open keeps it
    return target


def find_compiler() -> list[str] | None:
    """The command of a C++ compiler."""
    if chosen := os.environ.get("CXX"):
        return shlex.split(chosen)
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    return None


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotBuild(f"{command[0]} does not run: {error.strerror}") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["nothing"]
        first = next((line for line in said if "error" in line), said[0])
        raise CannotBuild(f"{command[0]} failed: {first}")


def _sources() -> Any:
    """``native/sources.py`` without the package around it."""
    spec = importlib.util.spec_from_file_location("sources", NATIVE / "sources.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{build().relative_to(ROOT)}\n")
    except CannotBuild as error:
        sys.exit(str(error))
