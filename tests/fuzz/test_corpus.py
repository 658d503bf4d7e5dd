"""What fuzzing found stays found: the corpus under sanitizers, and by both decoders alike."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.decode.wire import attribute, block, span
from tests.fuzz.run import CORPUS, HERE, SANITIZE, decoder

FILES = sorted(CORPUS.iterdir())
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
LARGE = {
    # what a corpus of small files cannot say: long columns, many keys, values past every buffer
    "many spans": b"".join(span(block(5, b"x" * 50)) for _ in range(3000)),
    "many keys": span(*(attribute(b"%d" % (n % 3000), block(1, b"v")) for n in range(9000))),
    "long text": span(attribute(b"k", block(1, b'"\\\n\x01' * 200_000))),
    "many repetitions": b'{"resourceSpans":[{' + b'"schemaUrl":"x",' * 50_000 + b'"schemaUrl":"y"}]}',
}  # fmt: skip


@pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler: the native decoder is not built either"
)
@pytest.mark.timeout(300)
def test_no_input_of_the_corpus_breaks_memory_or_arithmetic(tmp_path: Path) -> None:
    """Built with the address and undefined-behaviour sanitizers, as ``run.py`` does for fuzzing."""
    sources = [str(HERE / "replay.cpp"), str(HERE / "target.cpp"), *decoder()]
    objects = [str(tmp_path / f"{number}.o") for number in range(len(sources))]
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", *SANITIZE]

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def compiled(source: str, target: str) -> str:
        return run(str(COMPILER), *flags, "-c", source, "-o", target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compiled, sources, objects))
    binary = str(tmp_path / "replay")
    run(str(COMPILER), *flags, *objects, "-o", binary)
    for name, content in LARGE.items():
        (tmp_path / name).write_bytes(content)
    told = run(binary, *map(str, FILES), *(str(tmp_path / name) for name in LARGE))
    assert told == f"{len(FILES) + len(LARGE)} inputs\n"


def test_both_decoders_make_the_same_of_the_corpus() -> None:
    pytest.importorskip("strayline_collector.decode.native", exc_type=ImportError)
    from tests.decode.test_native import agree
    from tests.decode.test_native_json import agree as agree_json

    assert len(FILES) > 100
    for content in [*(file.read_bytes() for file in FILES), *LARGE.values()]:
        agree(content)
        agree_json(content)
