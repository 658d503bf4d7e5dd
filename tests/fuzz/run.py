"""Fuzzes the native decoder: python -m tests.fuzz.run [seconds]

Ten minutes unless told otherwise (``FUZZ_S``). Starts from ``corpus/`` and from what earlier runs
found (``.cache/fuzz``), and ends with a status of its own when an input breaks a promise; that input
is then the file it names. ``--keep`` adds to ``corpus/`` what reaches new code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
SOURCES: Final = ROOT / "collector" / "strayline_collector" / "decode" / "native" / "src"
CACHE: Final = ROOT / ".cache" / "fuzz"
CORPUS: Final = HERE / "corpus"
MAX_BYTES: Final = 4096
KEPT_BYTES: Final = 1024
SANITIZE: Final = ("-std=c++17", "-g", "-O1", "-fno-omit-frame-pointer", f"-I{SOURCES}")


def decoder() -> list[str]:
    """Everything of the decoder but its Python binding."""
    return [str(file) for file in sorted(SOURCES.glob("*.cpp")) if file.name != "module.cpp"]


def main(arguments: list[str]) -> int:
    keep = "--keep" in arguments
    given = [argument for argument in arguments if argument != "--keep"]
    seconds = int(given[0] if given else os.environ.get("FUZZ_S", "600"))
    clang = shutil.which("clang++")
    if clang is None:
        print("make fuzz needs clang++ with libFuzzer: install clang and libclang-rt-dev")
        return 2
    (CACHE / "corpus").mkdir(parents=True, exist_ok=True)
    target = CACHE / "target"
    built = subprocess.run(
        [clang, "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined", *SANITIZE,
         str(HERE / "target.cpp"), *decoder(), "-o", str(target)],
        check=False,
    )  # fmt: skip
    if built.returncode != 0:
        return built.returncode
    options = [f"-max_len={MAX_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]
    done = subprocess.run(
        [str(target), *options, f"-max_total_time={seconds}", f"-dict={HERE / 'dictionary.txt'}",
         f"-artifact_prefix={CACHE}/", "-print_final_stats=1", str(CACHE / "corpus"), str(CORPUS)],
        check=False,
    )  # fmt: skip
    if done.returncode == 0 and keep:
        subprocess.run(
            [
                str(target),
                *options,
                "-set_cover_merge=1",
                f"-max_len={KEPT_BYTES}",
                str(CORPUS),
                str(CACHE / "corpus"),
            ],
            check=True,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
