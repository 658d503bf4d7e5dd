"""The stamp: one string header that says which message of which channel this is.

``1.<epoch>.<channel>.<n>.<h>[.<key>.<k>]`` — ``epoch`` names the process, ``channel`` the channel
object in it, ``n`` counts its publishes, ``h`` fingerprints exchange and routing key (a header
copied by a program that republishes does not fit), ``key`` is the hashed ordering key and ``k``
counts within it, process-wide. About 40 bytes; a string, because integers change type on the way.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final

from strayline.lifecycle import after_fork

MAX_LENGTH: Final = 128
MAX_KEYS: Final = 100_000
"""Ordering keys counted at once; the least recently used one is forgotten and counts from 1 again."""

_GRAMMAR: Final = re.compile(
    r"1\.([0-9a-f]{16})\.([1-9][0-9]{0,17})\.([1-9][0-9]{0,17})\.([0-9a-f]{4})"
    r"(?:\.([0-9a-f]{8})\.([1-9][0-9]{0,17}))?"
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A parsed stamp. ``str()`` is its text."""

    epoch: str
    channel: int
    n: int
    h: str
    key: str | None = None
    k: int | None = None

    def __str__(self) -> str:
        text = f"1.{self.epoch}.{self.channel}.{self.n}.{self.h}"
        return text if self.key is None else f"{text}.{self.key}.{self.k}"


def read(value: object) -> str | None:
    """The text of the stamp in a header value, or None for anything that is not exactly one."""
    if isinstance(value, bytes | bytearray):
        try:
            value = bytes(value[: MAX_LENGTH + 1]).decode("ascii")
        except UnicodeDecodeError:
            return None
    if isinstance(value, str) and len(value) <= MAX_LENGTH and _GRAMMAR.fullmatch(value):
        return value
    return None


def parse(value: object) -> Stamp | None:
    """The parts of the stamp in a header value, or None for anything that is not exactly one."""
    text = read(value)
    match = None if text is None else _GRAMMAR.fullmatch(text)
    if match is None:
        return None
    epoch, channel, n, h, key, k = match.groups()
    return Stamp(epoch, int(channel), int(n), h, key, int(k) if k else None)


def fingerprint(exchange: str, routing_key: str) -> str:
    """``h``: the first 4 hex of SHA-256 over ``len(exchange):exchange len(key):key`` in UTF-8,
    lengths in bytes."""
    x, key = exchange.encode("utf-8", "surrogatepass"), routing_key.encode("utf-8", "surrogatepass")
    return sha256(b"%d:%b%d:%b" % (len(x), x, len(key), key)).hexdigest()[:4]


class Stamper:
    """Makes this process's stamps. One per process; a forked child starts a new epoch but keeps
    the hash secret, so that equal ordering keys stay equal across its siblings."""

    def __init__(self) -> None:
        self._secret = os.urandom(16)
        self.renew()

    def renew(self) -> None:
        """A new epoch: everything is counted from 1 again."""
        self.epoch = os.urandom(8).hex()
        self._channels = itertools.count(1)
        self._keys: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def channel_number(self) -> int:
        """The number of a channel object not seen before."""
        return next(self._channels)

    def stamp(
        self, channel: int, n: int, exchange: str, routing_key: str, ordering_key: str | None
    ) -> Stamp:
        """The stamp of the ``n``-th publish of a channel."""
        h = fingerprint(exchange, routing_key)
        if ordering_key is None:
            return Stamp(self.epoch, channel, n, h)
        return Stamp(self.epoch, channel, n, h, *self.count(ordering_key))

    def hashed(self, data: bytes) -> str:
        """A keyed hash of 8 bytes: equal data are seen to be equal, and nothing else."""
        return blake2b(data, digest_size=8, key=self._secret).hexdigest()

    def count(self, ordering_key: str) -> tuple[str, int]:
        """The key's hash and its next count, process-wide."""
        hashed = self.hashed(ordering_key.encode("utf-8", "surrogatepass"))[:8]
        with self._lock:
            k = self._keys.pop(hashed, 0) + 1
            self._keys[hashed] = k
            if len(self._keys) > MAX_KEYS:
                self._keys.popitem(last=False)
        return hashed, k


stamper: Final = Stamper()
after_fork(stamper.renew)
