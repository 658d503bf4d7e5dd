"""The composition root: the only place that knows every part and wires them together."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from strayline.version import __version__
from strayline_collector.configured import configured
from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.decode.otlp import DECODER
from strayline_collector.detect import detectors
from strayline_collector.detect.absence import note_absence
from strayline_collector.detect.runner import Runner
from strayline_collector.detect.thresholds import parse_thresholds
from strayline_collector.detect.watermark import rfc3339
from strayline_collector.errors import StoreError, UsageError
from strayline_collector.figures import figures
from strayline_collector.load import Loader
from strayline_collector.memory import HARD_ABOVE, MIB, Budget, memory_limit, shares
from strayline_collector.metrics import render
from strayline_collector.notify.webhook import Webhooks, parse_receivers
from strayline_collector.query.api import build_api
from strayline_collector.query.guard import Gate
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
from strayline_collector.receive.http_request import Limits
from strayline_collector.receive.http_server import HttpServer
from strayline_collector.receive.intake import Intake
from strayline_collector.receive.journal import Journal
from strayline_collector.receive.memory_journal import MemoryJournal
from strayline_collector.receive.otlp_grpc import bind, build_server
from strayline_collector.receive.otlp_http import OtlpHttp
from strayline_collector.receive.zipkin_http import ZipkinHttp
from strayline_collector.settings import Address, Addresses, CollectorSettings
from strayline_collector.store.duckdb.connection import MEMORY
from strayline_collector.store.duckdb.retain import Retention
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.tap.topology import TopologyTap, parse_management_url
from strayline_collector.untraced import Untraced

log = logging.getLogger(__name__)

DETECT_EVERY_S = 1.0
DRAIN_DOORS_S = 3


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


async def serve(
    settings: CollectorSettings,
    *,
    on_ready: Callable[[Addresses], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Runs a collector until SIGINT or SIGTERM, or, where ``stop`` is given, until that is set.
    ``on_ready`` gets the addresses once every door
    accepts. Raises ``UsageError`` or ``StoreError`` before anything is received.
    """
    settings.check()
    tls = None if settings.tls is None else settings.tls.context()
    for warning in settings.warnings():
        log.warning("%s", warning)
    sockets = [_listen(settings.otlp_http, "--otlp-http")]
    try:
        sockets.append(_listen(settings.api, "--api"))
        if settings.zipkin is not None:
            sockets.append(_listen(settings.zipkin, "--zipkin"))
        collector = Collector(settings)
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    otlp_socket, api_socket, *zipkin_sockets = sockets
    grpc_server = build_server(
        collector.intake, settings.max_request_bytes, collector.budget, settings.access
    )
    try:
        grpc_port = bind(
            grpc_server,
            settings.otlp_grpc.host,
            settings.otlp_grpc.port,
            None if settings.tls is None else settings.tls.grpc_credentials(),
        )
        collector.start()
        addresses = Addresses(
            otlp_http=Address(settings.otlp_http.host, otlp_socket.getsockname()[1]),
            otlp_grpc=Address(settings.otlp_grpc.host, grpc_port),
            api=Address(settings.api.host, api_socket.getsockname()[1]),
            zipkin=settings.zipkin
            and Address(settings.zipkin.host, zipkin_sockets[0].getsockname()[1]),
        )
        doors = [(_door(OtlpHttp, collector, settings), otlp_socket)]
        doors += [(_door(ZipkinHttp, collector, settings), s) for s in zipkin_sockets]
        api_app = Untraced(build_api(collector.store, collector, _gate(settings)))
        api = _server(api_app, tls)
        await _run(collector, doors, tls, (api, api_socket), grpc_server, addresses, on_ready, stop)
    finally:
        await grpc_server.stop(grace=0)
        for listener in sockets:
            listener.close()
        await collector.forwarded()
        await asyncio.to_thread(collector.stop)


async def _run(
    collector: Collector,
    doors: Sequence[tuple[HttpServer, socket.socket]],
    tls: ssl.SSLContext | None,
    api: tuple[uvicorn.Server, socket.socket],
    grpc_server: object,
    addresses: Addresses,
    on_ready: Callable[[Addresses], None] | None,
    stop: asyncio.Event | None,
) -> None:
    signals = (signal.SIGINT, signal.SIGTERM) if stop is None else ()
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    api_server, api_socket = api
    serving = asyncio.create_task(api_server.serve(sockets=[api_socket]))
    try:
        await grpc_server.start()  # type: ignore[attr-defined]  # grpc ships no usable types
        for door, listener in doors:
            await door.start(listener, tls)
        while not api_server.started and not serving.done():  # noqa: ASYNC110  # uvicorn tells no other way
            await asyncio.sleep(0.01)
        collector.listens(addresses)
        collector.doors(are_open=True)
        if on_ready is not None:
            on_ready(addresses)
        await stop.wait()
        collector.doors(are_open=False)
        await asyncio.gather(
            grpc_server.stop(grace=DRAIN_DOORS_S),  # type: ignore[attr-defined]
            *(door.stop(DRAIN_DOORS_S) for door, _ in doors),
        )
    finally:
        for door, _ in doors:
            await door.stop(0)
        api_server.should_exit = True
        await serving
        for number in signals:
            loop.remove_signal_handler(number)


def _door(
    kind: type[OtlpHttp | ZipkinHttp], collector: Collector, settings: CollectorSettings
) -> HttpServer:
    return HttpServer(
        kind(collector.intake, settings.max_request_bytes, settings.access),
        Limits(body_bytes=settings.max_request_bytes),
        collector.budget,
    )


class _QuietServer(uvicorn.Server):
    """Leaves signals to ``serve``: three servers in one process must not each take them."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _log_size(db: str) -> Callable[[], int]:
    """Of the store's write-ahead log."""
    path = Path(db + ".wal")

    def size() -> int:
        try:
            return path.stat().st_size
        except OSError:
            return 0

    return size


def _server(app: object, tls: ssl.SSLContext | None) -> uvicorn.Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's ASGI types are narrower than the specification's
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_DOORS_S,
        timeout_keep_alive=75,
        server_header=False,
    )
    config.load()
    config.ssl = tls  # one context for every door; uvicorn would make its own of files
    return _QuietServer(config)


def _gate(settings: CollectorSettings) -> Gate:
    """Who may ask the API."""
    names = {settings.api.host, *settings.allowed_hosts}
    if settings.api.wildcard:
        names |= {socket.gethostname(), socket.getfqdn()}
    return Gate(
        access=settings.access,
        hosts=frozenset(name.lower() for name in names),
        any_address=settings.api.wildcard,
    )


def _listen(address: Address, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{option} {address}: {(error.strerror or str(error)).lower()}; choose another port"
        ) from None
    return listener
