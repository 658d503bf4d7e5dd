"""The composition root: the only place that knows every part and wires them together."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from strayline.version import __version__
from strayline_collector.configured import configured
from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.decode.otlp import DECODER
from strayline_collector.detect import detectors
from strayline_collector.detect.absence import note_absence
from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import parse_thresholds
from strayline_collector.detect.watermark import rfc3339
from strayline_collector.errors import StoreError
from strayline_collector.figures import figures
from strayline_collector.load import Loader
from strayline_collector.memory import HARD_ABOVE, MIB, Budget, memory_limit, shares
from strayline_collector.metrics import render
from strayline_collector.notify.webhook import Webhooks, parse_receivers
from strayline_collector.query.status import SpanCounts
from strayline_collector.query.wire import (
    Configured,
    IngestStatus,
    Settled,
    Status,
    StoreStatus,
)
from strayline_collector.receive.file_journal import FileJournal
from strayline_collector.receive.forward import Forwarder
from strayline_collector.receive.intake import Intake
from strayline_collector.receive.journal import Journal
from strayline_collector.receive.memory_journal import MemoryJournal
from strayline_collector.settings import Addresses, CollectorSettings
from strayline_collector.store.duckdb.connection import MEMORY
from strayline_collector.store.duckdb.retain import Retention
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.tap.topology import TopologyTap, parse_management_url

log = logging.getLogger(__name__)

DETECT_EVERY_S = 1.0


class Collector:
    """The parts of one running collector. Keeps ``model.Control``."""

    def __init__(self, settings: CollectorSettings) -> None:
        places = [parse_management_url(text) for text in settings.rabbitmq_api]
        receivers = parse_receivers(
            settings.webhooks, settings.webhook_secret, settings.webhook_severity
        )
        contract = read_contract(map(Path, settings.contracts))
        self._promised_queues = frozenset(channel.queue for _, channel in contract.queues)
        parts = shares(memory_limit(settings.memory_limit))
        self._configured = configured(settings, parts)
        self.budget = Budget(parts.requests, parts.limit + HARD_ABOVE)
        self.store = DuckDBStore.open(
            settings.db,
            memory_limit=f"{parts.store // MIB}MiB",
            retention=Retention(*settings.kept()),
        )
        try:
            self._journal: Journal = (
                MemoryJournal(2 * parts.journal)
                if settings.db == MEMORY
                else FileJournal(
                    Path(settings.db + ".journal"),
                    self.store.position(),
                    memory_bytes=parts.journal,
                )
            )
        except BaseException:
            self.store.close()
            raise
        self._loaded = threading.Event()
        self._stopping = threading.Event()
        self._loader = Loader(
            self._journal,
            self.store,
            self._loaded.set,
            batch_bytes=parts.batch,
            log_bytes=_log_size(settings.db),
        )
        note_absence(self.store, time.time_ns())
        self._runner = Runner(
            self.store,
            settings.lateness_s,
            detectors(contract),
            parse_thresholds(settings.thresholds),
        )
        self._detection = threading.Thread(target=self._detect_forever, name="detect", daemon=True)
        self._taps = [TopologyTap(self.store, p, settings.topology_every_s) for p in places]
        self._counts = SpanCounts(self.store)
        self._webhooks = Webhooks(self.store, receivers)
        self._started_ns = time.time_ns()
        self._doors_open = False
        self._forwarder = (
            Forwarder(
                settings.forward.url,
                dict(settings.forward.headers),
                Path(settings.db + ".forward") if settings.db != MEMORY else None,
            )
            if settings.forward is not None
            else None
        )
        self.intake = Intake(
            self._journal,
            self._loader.wake,
            self._forwarder.offer if self._forwarder is not None else None,
        )
        self._figures = figures(
            self.intake,
            self._journal,
            self._loader,
            self.budget,
            self.store,
            self._runner,
            self.not_ready,
        )
        if self._forwarder is not None:
            self._figures += self._forwarder.metrics()
        self._figures += self._webhooks.metrics()

    def start(self) -> None:
        self._loader.start()
        self._loader.wake()
        self._detection.start()
        for tap in self._taps:
            tap.start()
        if self._forwarder is not None:
            self._forwarder.start()
        self._webhooks.start()

    def doors(self, *, are_open: bool) -> None:
        """Tells ``/ready`` whether every door accepts."""
        self._doors_open = are_open

    def stop(self) -> None:
        """Loads what is in the journal, judges no more, lets go of the files."""
        self._stopping.set()
        self._loaded.set()
        for tap in self._taps:
            tap.stop()
        if self._detection.ident is not None:
            self._detection.join()
        self._webhooks.stop()
        self._loader.stop()
        self._journal.close()
        self.store.close()

    async def forwarded(self) -> None:
        """Passes on what still waits, for a moment; keeps the rest for the next start."""
        if self._forwarder is not None:
            await self._forwarder.close()

    async def settle(self, now_ns: int | None) -> Settled:
        await asyncio.to_thread(self._loader.drain)
        settled = await asyncio.to_thread(self._runner.settle, now_ns)
        self._webhooks.wake()
        return settled

    def status(self) -> Status:
        counts = self._counts.read()
        counters = self.intake.counters
        return Status(
            version=__version__,
            spans=counts.spans,
            traces=counts.traces,
            started_at=rfc3339(self._started_ns),
            decoder=DECODER,
            store=StoreStatus(kind="duckdb", size_bytes=self.store.size_bytes()),
            ingest=IngestStatus(
                accepted_spans=counters.accepted_spans,
                rejected_spans=counters.rejected_spans,
                spans_per_s=counters.spans_per_s(),
                journal_lag_bytes=self._journal.backlog_bytes(),
                journal_lag_s=self._journal.oldest_s(),
                journal_lost_bytes=self._journal.lost.bytes,
                batch_rows=self._loader.batch_rows,
                linger_ms=self._loader.linger_s * 1000,
                memory_in_flight_bytes=self.budget.used,
                problem="; ".join(self._problems()) or None,
            ),
            detection=self._runner.status(),
        )

    def metrics(self) -> str:
        return render(self._figures)

    def _problems(self) -> list[str]:
        return [reason for reason in (self._journal.problem(), self._loader.problem()) if reason]

    def listens(self, addresses: Addresses) -> None:
        """What it was told to listen on may have been any free port."""
        self._configured["otlp_http"] = str(addresses.otlp_http)
        self._configured["otlp_grpc"] = str(addresses.otlp_grpc)

    def configured(self) -> Configured:
        return self._configured

    def judging(self) -> tuple[frozenset[str], Mapping[str, str]]:
        return self._promised_queues, dict(self._runner.failures)

    def doors_open(self) -> bool:
        return self._doors_open

    def not_ready(self) -> list[str]:
        reasons = self._problems()
        if not self._doors_open:
            reasons.append("not every door is open")
        return reasons

    def _detect_forever(self) -> None:
        while not self._stopping.is_set():
            # also without new loads: time passing opens what was provisional
            self._loaded.wait(timeout=DETECT_EVERY_S * 5)
            self._loaded.clear()
            if self._stopping.is_set():
                return
            began = time.monotonic()
            try:
                self._runner.run()
                self._webhooks.wake()
            except StoreError as error:
                # what the disk or the file says needs no trace of ours
                log.error("detection failed; it is tried again: %s", str(error).splitlines()[0])
            except Exception:
                log.exception("detection failed; it is tried again")
            # a long history must not leave loading without the machine: half of the time at most
            self._stopping.wait(max(DETECT_EVERY_S, time.monotonic() - began))


def _log_size(db: str) -> Callable[[], int]:
    """Of the store's write-ahead log."""
    path = Path(db + ".wal")

    def size() -> int:
        try:
            return path.stat().st_size
        except OSError:
            return 0

    return size
