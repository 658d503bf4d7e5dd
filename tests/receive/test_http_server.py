"""The HTTP server under the doors: order, bounds and patience, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from strayline_collector.memory import Budget
from strayline_collector.receive.http_request import Limits, Misdirected, Request
from strayline_collector.receive.http_server import HttpServer

OK = b"HTTP/1.1 200 OK"


class Echo:
    """Answers with the body; ``/slow`` after a while, ``/no`` never takes one."""

    def begin(self, request: Request) -> None:
        if request.path == "/no":
            raise Misdirected(404, 5, "no")

    def take(self, request: Request) -> None:
        async def later() -> None:
            await asyncio.sleep(0.05)
            request.reply(200, "text/plain", request.body)

        if request.path == "/slow":
            request.work(later())
        else:
            request.reply(200, "text/plain", request.body)

    def fail(self, request: Request, error: Exception) -> None:
        code = error.status if isinstance(error, Misdirected) else 503
        request.reply(code, "text/plain", str(error).encode())


Client = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def serving(scenario: Callable[[HttpServer, Client], Awaitable[None]], **limits: float) -> Budget:
    """Runs a scenario against a server with these limits; gives its budget afterwards."""
    budget = Budget(10_000)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = HttpServer(Echo(), Limits(**{"body_bytes": 5_000, **limits}), budget)  # type: ignore[arg-type]
            await server.start(listener)
            writers: list[asyncio.StreamWriter] = []

            async def client() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writers.append(writer)
                return reader, writer

            try:
                await asyncio.wait_for(scenario(server, client), 30)
            finally:
                for writer in writers:
                    writer.close()
                await server.stop(1)

    asyncio.run(run())
    return budget


def post(path: str, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (
        path.encode(),
        len(body),
        body,
    )


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Status line and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in head if line.startswith(b"content-length"))
    return head[0], await reader.readexactly(length)


def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        reader, writer = await client()
        writer.write(post("/slow", b"1") + post("/", b"2") + post("/no", b"3") + post("/", b"4"))
        assert [(await answer(reader))[1] for _ in range(4)] == [b"1", b"2", b"no", b"4"]

    assert serving(scenario).used == 0


def test_a_client_that_expects_to_be_told_to_go_on_is_told_or_refused_at_once() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        for path, length, first in (
            ("/", 2, b"100 Continue"),
            ("/no", 2, b"404"),
            ("/", 6000, b"503"),
        ):
            reader, writer = await client()
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
            writer.write(head.encode())
            assert first in await reader.readline()
            if length == 2 and path == "/":
                await reader.readline()
                writer.write(b"ok")
                assert await answer(reader) == (OK, b"ok")

    assert serving(scenario).used == 0


def test_what_takes_too_long_is_ended_and_its_memory_is_given_back() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        silent, _ = await client()
        head, head_writer = await client()
        head_writer.write(b"POST / HTTP/1.1\r\nhos")
        body, body_writer = await client()
        body_writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\nx")
        assert b" 408 " in await head.readline()
        assert b" 408 " in await body.readline()
        assert await silent.read() == b""
        assert server.budget.used == 0
        good, good_writer = await client()
        good_writer.write(post("/", b"good"))
        assert await answer(good) == (OK, b"good")

    serving(scenario, head_s=1.0, body_idle_s=1.0)


def test_a_body_in_flight_counts_whole_from_its_head_on() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        for _ in range(2):
            _, writer = await client()
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4500\r\n\r\n")
        while server.budget.used < 9000:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        reader, writer = await client()
        writer.write(post("/", bytes(2000)))
        assert b" 503 " in (await answer(reader))[0]
        writer.write(post("/", b"small"))  # the refused body was read away, the line is as good
        assert await answer(reader) == (OK, b"small")

    assert serving(scenario).used == 0


def test_at_the_limit_of_connections_those_that_say_nothing_make_room() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        kept, kept_writer = await client()
        kept_writer.write(post("/", b"first"))
        assert await answer(kept) == (OK, b"first")
        for _ in range(30):
            await client()
        assert len(server.connections) <= 10
        reader, writer = await client()
        writer.write(post("/", b"new"))
        assert await answer(reader) == (OK, b"new")
        kept_writer.write(post("/", b"again"))
        assert await answer(kept) == (OK, b"again")

    serving(scenario, connections=10)


def test_an_offer_of_another_protocol_is_declined_by_going_on() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        reader, writer = await client()
        for _ in range(2):
            writer.write(
                b"POST / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
                b"http2-settings: AAMAAABkAAQAAP__\r\ncontent-length: 2\r\n\r\nhi"
            )
            assert await answer(reader) == (OK, b"hi")

    serving(scenario)


def test_stopping_answers_what_has_arrived_and_closes_the_rest() -> None:
    async def scenario(server: HttpServer, client: Client) -> None:
        idle, _ = await client()
        reader, writer = await client()
        writer.write(post("/slow", b"last"))
        while not any(not c.idle() for c in server.connections):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await server.stop(2)
        assert await answer(reader) == (OK, b"last")
        assert await reader.read() == await idle.read() == b""

    serving(scenario)
