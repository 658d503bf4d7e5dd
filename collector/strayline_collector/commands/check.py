"""``strayline check``: recorded traces judged without a collector, for CI."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from strayline_collector.commands import UsageProblem, reports
from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.decode.otlp import decode
from strayline_collector.detect import detectors
from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import parse_thresholds
from strayline_collector.formats.files import read
from strayline_collector.query.findings import read_findings
from strayline_collector.query.wire import Finding
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position

LOAD_BYTES: Final = 16 * 1024 * 1024
"""Of requests loaded at once: a load has a cost of its own whatever its size."""
_PAGE: Final = 500


def run(
    files: list[Path],
    contracts: list[Path],
    fail_on: str | None,
    form: str,
    thresholds: Iterable[str] = (),
) -> int:
    """Prints what is found; 1 when a finding reaches ``fail_on``, else 0. Raises ``UsageProblem``
    and ``BadInput`` naming file and line."""
    items = judge(files, contracts, thresholds)
    sys.stdout.write(reports.FORMATS[form](items, fail_on))
    return 1 if reports.fails(items, fail_on) else 0


def judge(
    files: Iterable[Path], contracts: Iterable[Path] = (), thresholds: Iterable[str] = ()
) -> list[Finding]:
    """The findings of all files together, as complete telemetry: nothing is provisional. Every
    message is named. A detector that fails is an error: silence of it would be taken for health."""
    contract, numbers = read_contract(contracts), parse_thresholds(thresholds)
    with TemporaryDirectory(prefix="strayline-check-") as directory:
        # on disk, since recordings may be larger than memory
        store = DuckDBStore.open(str(Path(directory) / "check.duckdb"))
        try:
            for number, requests in enumerate(_loads(files), start=1):
                now = time.time_ns()
                store.append(decode(requests, now), Position(1, number), now)
            runner = Runner(store, detectors=detectors(contract), thresholds=numbers)
            runner.settle()
            if runner.failures:
                name, told = next(iter(runner.failures.items()))
                raise UsageProblem(f"detector {name} failed: {told.strip().splitlines()[-1]}")
            return list(_findings(store))
        finally:
            store.close()


def _loads(files: Iterable[Path]) -> Iterator[list[bytes]]:
    waiting: list[bytes] = []
    size = 0
    for file in files:
        for request in read(file):
            body = request.SerializeToString()
            waiting.append(body)
            size += len(body)
            if size >= LOAD_BYTES:
                yield waiting
                waiting, size = [], 0
    if waiting:
        yield waiting


def _findings(store: DuckDBStore) -> Iterator[Finding]:
    offset: int | None = 0
    with store.read() as session:
        while offset is not None:
            page = read_findings(session, {}, limit=_PAGE, offset=offset, messages="all")
            yield from page["items"]
            offset = None if page["next_cursor"] is None else int(page["next_cursor"])
