"""Cuts a JSON document at the elements of its list, so that one of several gigabytes is never in
memory whole: ``[e, e]``, ``{"data": [e, e], …}``, or many documents one after another.

Only brackets and strings are looked at; whoever parses an element finds what is wrong within.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MAX_PART_BYTES: Final = 256 * 1024 * 1024
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""A bracket or a string; a string that the data ends in as well."""


class Part(NamedTuple):
    """An element of the list named ``key`` (empty: the document is the list), or with key None a
    whole document without such a list; ``line`` is where it begins, from 1."""

    key: str | None
    data: bytes
    line: int


class BrokenJson(Exception):
    """Where the document stops being JSON."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parts(chunks: Iterable[bytes], lists: Iterable[str]) -> Iterator[Part]:
    """The parts of what ``chunks`` are together. Raises ``BrokenJson``."""
    cutter = _Cutter(lists)
    for chunk in chunks:
        yield from cutter.feed(chunk, last=False)
    yield from cutter.feed(b"", last=True)


class _Cutter:
    def __init__(self, lists: Iterable[str]) -> None:
        self._lists = {f'"{name}"'.encode(): name for name in lists}
        self._data = b""
        self._at = 0
        """Everything in ``_data`` before this has been looked at."""
        self._depth = 0
        self._key: str | None = None
        """Of the list that is open."""
        self._base = 0
        """The depth at which that list's elements stand; 0 while none is open."""
        self._start: int | None = None
        """Of the element, or of a document in which no list was met so far."""
        self._gap = 0
        """What lies between elements begins here."""
        self._first = True
        self._name = b""
        self._line = 1
        self._counted = 0

    def feed(self, chunk: bytes, *, last: bool) -> Iterator[Part]:
        self._forget()
        self._data += chunk
        while (found := _TOKEN.search(self._data, self._at)) is not None:
            token = found[0]
            if token[:1] == b'"' and (len(token) == 1 or token[-1:] != b'"' or _cut(token)):
                if not last:
                    self._at = found.start()
                    return
                raise BrokenJson(
                    self._line_of(found.start()), "the string that begins here never ends"
                )
            self._at = found.end()
            yield from self._take(token, found.start())
        self._at = len(self._data)
        if last:
            self._end()

    def _take(self, token: bytes, at: int) -> Iterator[Part]:
        if token in (b"{", b"["):
            self._open(token, at)
        elif token in (b"}", b"]"):
            yield from self._close(token, at)
        elif self._depth == 0 or self._depth == self._base:
            raise BrokenJson(self._line_of(at), "expected an object here, not a string")
        elif self._depth == 1:
            self._name = token

    def _open(self, token: bytes, at: int) -> None:
        if self._depth == self._base:  # an element, or a document of its own
            self._separated(at)
            self._start = at
        if token == b"[" and not self._base and (self._depth == 0 or self._named()):
            self._key = self._lists[self._name] if self._depth else ""
            self._base = self._depth + 1
            self._start, self._first, self._gap = None, True, at + 1
        self._depth += 1

    def _named(self) -> bool:
        return self._depth == 1 and self._name in self._lists

    def _close(self, token: bytes, at: int) -> Iterator[Part]:
        self._depth -= 1
        if self._depth < 0:
            raise BrokenJson(self._line_of(at), f"an unexpected {token.decode()}")
        if self._base and self._depth < self._base - 1:
            raise BrokenJson(self._line_of(at), f"an unexpected {token.decode()}")
        if self._base and self._depth == self._base - 1:  # the list ends
            if self._data[self._gap : at].strip():
                raise BrokenJson(self._line_of(at), "the list ends in something that is no object")
            self._base, self._name = 0, b""
            self._gap, self._first = at + 1, True
        elif self._depth == self._base:
            if self._start is not None:
                key = self._key if self._base else None
                yield Part(key, self._data[self._start : at + 1], self._line_of(self._start))
            self._start, self._first, self._gap = None, self._base == 0, at + 1

    def _separated(self, at: int) -> None:
        between = self._data[self._gap : at].strip(b" \t\r\n")
        if between != (b"" if self._first else b","):
            raise BrokenJson(
                self._line_of(at),
                f"unexpected {between[:40].decode('utf-8', 'replace')!r} before this"
                if between
                else "a comma is missing before this",
            )
        self._first = False

    def _end(self) -> None:
        if self._depth:
            begun = self._start if self._start is not None else len(self._data)
            raise BrokenJson(self._line_of(begun), "the document ends in the middle")
        rest = self._data[self._gap :].strip()
        if rest:
            raise BrokenJson(
                self._line_of(self._gap), f"unexpected {rest[:40].decode('utf-8', 'replace')!r}"
            )

    def _forget(self) -> None:
        """Drops what nobody needs any more."""
        keep = self._at if self._start is None else self._start
        if self._depth == self._base and self._start is None:
            keep = min(keep, self._gap)
        if len(self._data) - keep > MAX_PART_BYTES:
            raise BrokenJson(
                self._line_of(keep),
                f"what begins here is larger than {MAX_PART_BYTES:,} bytes: split it, as JSON lines",
            )
        self._line_of(keep)
        self._data = self._data[keep:]
        self._at -= keep
        self._gap -= keep
        self._counted = 0
        if self._start is not None:
            self._start = 0

    def _line_of(self, at: int) -> int:
        if at < self._counted:
            return self._line - self._data.count(b"\n", at, self._counted)
        self._line += self._data.count(b"\n", self._counted, at)
        self._counted = at
        return self._line


def _cut(token: bytes) -> bool:
    """Whether the quote that the token ends in is escaped: the data ended just after it."""
    body = token[1:-1]
    return (len(body) - len(body.rstrip(b"\\"))) % 2 == 1
