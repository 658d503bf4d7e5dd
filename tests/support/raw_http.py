"""HTTP/1 by hand over a socket, for what no client library would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection. Times out after ``timeout`` seconds without a byte."""

    def __init__(self, address: str, timeout: float) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self._reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, bodiless: bool = False) -> Answer:
        """The next answer. ``bodiless``: to a HEAD request. Fails when the connection ends first."""
        line = self._reader.readline()
        assert line.startswith(b"HTTP/1."), f"no answer but {line!r}"
        headers: dict[str, str] = {}
        while (header := self._reader.readline().strip()) != b"":
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        status = int(line.split()[1])
        if bodiless or status in (100, 204):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"".join(self._chunks()))
        length = headers.get("content-length")
        return Answer(
            status, headers, self._reader.read(-1 if length is None else int(length)) or b""
        )

    def rest(self) -> bytes:
        """What comes until the other side closes; empty also when it resets."""
        try:
            return self._reader.read() or b""
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def _chunks(self) -> Iterator[bytes]:
        while (size := int(self._reader.readline(), 16)) > 0:
            yield self._reader.read(size)
            self._reader.readline()
        self._reader.readline()


@contextmanager
def wire(address: str, timeout: float = 20) -> Iterator[Wire]:
    """A connection that is closed afterwards."""
    found = Wire(address, timeout)
    try:
        yield found
    finally:
        found.close()


def head(
    method: str = "POST",
    path: str = "/v1/traces",
    version: str = "1.1",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Request line and headers as bytes, the empty line included."""
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [
        f"{name}: {value}" for name, value in {"Host": "localhost", **(headers or {})}.items()
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
