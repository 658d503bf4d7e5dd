"""The doors of one collector: opened together, told of once every one accepts, and closed together."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import uvicorn

from strayline_collector.app import Collector
from strayline_collector.errors import UsageError
from strayline_collector.query.api import build_api
from strayline_collector.query.guard import Gate
from strayline_collector.receive.http_request import Limits
from strayline_collector.receive.http_server import HttpServer
from strayline_collector.receive.otlp_grpc import bind, build_server
from strayline_collector.receive.otlp_http import OtlpHttp
from strayline_collector.receive.zipkin_http import ZipkinHttp
from strayline_collector.settings import Address, Addresses, CollectorSettings
from strayline_collector.untraced import Untraced

log = logging.getLogger(__name__)

DRAIN_S = 3


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
            grpc_server.stop(grace=DRAIN_S),  # type: ignore[attr-defined]
            *(door.stop(DRAIN_S) for door, _ in doors),
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


def _server(app: object, tls: ssl.SSLContext | None) -> uvicorn.Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's ASGI types are narrower than the specification's
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_S,
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
