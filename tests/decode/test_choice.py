"""Which decoder serves: the native one where it is sound, else the reference, with one clear line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import strayline_collector

PACKAGE = Path(strayline_collector.__file__).parent
NATIVE = PACKAGE / "decode" / "native" / "_decoder.abi3.so"
PROGRAM = "from strayline_collector.decode import otlp; print(otlp.DECODER, otlp.decode([b''], 1).num_rows)"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the decoder, to break."""
    copy = tmp_path / "strayline_collector"
    copy.mkdir()
    for name in ("__init__.py", "errors.py"):
        shutil.copy(PACKAGE / name, copy)
    shutil.copytree(
        PACKAGE / "decode", copy / "decode", ignore=shutil.ignore_patterns("__pycache__")
    )
    return copy / "decode" / "native" / NATIVE.name


def chosen(module: Path, **environment: str) -> tuple[str, str]:
    """(decoder, what was logged) of a process that imports the copy."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(module.parents[3]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name, rows = done.stdout.split()
    assert rows == "0"
    return name, done.stderr


needs_native = pytest.mark.skipif(not NATIVE.exists(), reason="the native decoder is not built")


@needs_native
def test_the_native_decoder_serves_where_it_is_built(package: Path) -> None:
    assert chosen(package) == ("native", "")


def test_without_a_native_module_the_reference_serves_in_silence(package: Path) -> None:
    package.unlink(missing_ok=True)
    assert chosen(package) == ("python", "")


def test_the_reference_serves_when_asked_for(package: Path) -> None:
    assert chosen(package, STRAYLINE_DECODER="python") == ("python", "")


def test_a_broken_module_costs_a_warning(package: Path) -> None:
    package.unlink(missing_ok=True)
    package.write_bytes(b"no library")
    name, logged = chosen(package)
    assert name == "python"
    assert logged.startswith("the native decoder cannot be used, the one in Python is: ")
    assert logged.count("\n") == 1


@needs_native
def test_a_module_of_other_sources_costs_a_warning_that_says_how_to_build_it(package: Path) -> None:
    with (package.parent / "src" / "wire.h").open("a") as file:
        file.write("// changed\n")
    name, logged = chosen(package)
    assert name == "python"
    assert "was built from other sources; build it again: python scripts/native.py" in logged
