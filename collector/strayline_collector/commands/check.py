"""``strayline check``: recorded traces judged without a collector, for CI."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple, cast

from strayline_collector.commands import UsageProblem, reports
from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.decode.otlp import decode
from strayline_collector.detect import detectors
from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import parse_thresholds
from strayline_collector.detect.topology_document import put_topology, read_definitions
from strayline_collector.errors import BadInput
from strayline_collector.formats.files import files_of, read
from strayline_collector.query.findings import read_findings
from strayline_collector.query.wire import Finding
from strayline_collector.store.duckdb.queries import load
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
    references: Iterable[Path] = (),
) -> int:
    """Prints what is found; 1 when a finding reaches ``fail_on``, else 0. Raises ``UsageProblem``
    and ``BadInput`` naming file and line."""
    judged = judge(files, contracts, thresholds, references)
    items = judged.findings
    sys.stdout.write(reports.FORMATS[form](items, fail_on))
    sys.stdout.flush()
    sys.stderr.write(_summary(judged, fail_on))
    return 1 if reports.fails(items, fail_on) else 0


class Judged(NamedTuple):
    """What was found, and in how much."""

    findings: list[Finding]
    spans: int
    refused: int
    """Spans whose ids are not valid."""
    publishes: int
    deliveries: int
    silent: tuple[Path, ...]
    """Files without a span."""


def judge(
    files: Iterable[Path],
    contracts: Iterable[Path] = (),
    thresholds: Iterable[str] = (),
    references: Iterable[Path] = (),
) -> Judged:
    """The findings of all files together, as complete telemetry: nothing is provisional. Every
    message is named. A detector that fails, or no span at all, is an error: silence would be taken
    for health."""
    contract, numbers = read_contract(contracts), parse_thresholds(thresholds)
    meant = [_definitions(path) for path in references]
    files, counts = files_of(files), Counter[Path]()
    kept = 0
    with TemporaryDirectory(prefix="strayline-check-") as directory:
        # on disk, since recordings may be larger than memory
        store = DuckDBStore.open(str(Path(directory) / "check.duckdb"))
        try:
            for number, requests in enumerate(_loads(files, counts), start=1):
                now = time.time_ns()
                spans = decode(requests, now)
                kept += spans.num_rows
                store.append(spans, Position(1, number), now)
            if not kept:
                raise UsageProblem(_nothing(files, counts.total()))
            for document in meant:
                put_topology(store, document, role="intended", complete=True, valid_from_ns=0)
            runner = Runner(store, detectors=detectors(contract), thresholds=numbers)
            runner.settle()
            if runner.failures:
                name, told = next(iter(runner.failures.items()))
                raise UsageProblem(f"detector {name} failed: {told.strip().splitlines()[-1]}")
            with store.read() as session:
                (seen,) = session.rows(load("query/messages_seen"))
            return Judged(
                list(_findings(store)), kept, counts.total() - kept, seen["publishes"], seen["deliveries"],
                tuple(file for file in files if not counts[file]),
            )  # fmt: skip
        finally:
            store.close()


def _definitions(path: Path) -> dict[str, Any]:
    """Raises ``UsageProblem`` naming the file."""
    try:
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict):
            raise BadInput("expected an object, as rabbitmqctl export_definitions writes it")
        told = cast(dict[str, Any], document)
        if any(row["vhost"] is None for row in read_definitions(told, None)):
            raise BadInput(
                "the definitions of one vhost, which they do not name: export the whole broker's"
            )
    except OSError as error:
        raise UsageProblem(
            f"--topology {path}: cannot be read: {error.strerror or error}"
        ) from None
    except (ValueError, BadInput) as error:
        raise UsageProblem(f"--topology {path}: {error}") from None
    return told


def _nothing(files: list[Path], refused: int) -> str:
    names = ", ".join(map(str, files))
    if refused:
        return f"{names}: none of {refused:,} spans has valid ids"
    return f"{names}: no spans, so nothing was judged; see that what recorded them traces, and flushed before it ended"


def _summary(judged: Judged, fail_on: str | None) -> str:
    """For people who read a build's log; in every format, and so not on standard output."""
    lines = [f"{file}: no spans" for file in judged.silent]
    if judged.refused:
        lines.append(f"{judged.refused:,} spans were refused: their ids are not valid")
    failing = sum(reports.fails((item,), fail_on) for item in judged.findings)
    count = len(judged.findings)
    lines.append(
        f"judged {judged.spans:,} spans, {judged.publishes:,} publishes and {judged.deliveries:,} deliveries: "
        f"{count} {'finding' if count == 1 else 'findings'}, {failing} at --fail-on {fail_on} or above"
    )
    if not judged.publishes and not judged.deliveries:
        lines.append("no message was seen: only spans of a messaging instrumentation tell of any")
    return "".join(f"strayline: {line}\n" for line in lines)


def _loads(files: Iterable[Path], counts: Counter[Path]) -> Iterator[list[bytes]]:
    """Requests in loads; what each file held is counted."""
    waiting: list[bytes] = []
    size = 0
    for file in files:
        for request in read(file):
            body = request.SerializeToString()
            counts[file] += sum(
                len(ss.spans) for rs in request.resource_spans for ss in rs.scope_spans
            )
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
