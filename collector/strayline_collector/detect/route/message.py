"""What routing needs of a message: exchange, keys, headers, and where it died before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final


class _Unrecorded:
    """A header that is there, with a value that nobody recorded and that is no plain one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNRECORDED"


UNRECORDED: Final = _Unrecorded()
_COPIES: Final = ("CC", "BCC")


@dataclass(frozen=True, slots=True)
class Death:
    """One entry of ``x-death``: the queue, and ``expired``, ``rejected``, ``maxlen`` or ``delivery_limit``."""

    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way into an exchange."""

    exchange: str
    keys: tuple[str, ...]
    """The routing key, then what CC and BCC add."""
    headers: Mapping[str, Any] | None
    """Values as Python has them: ``None`` is void, ``UNRECORDED`` something. None as a whole:
    nobody recorded them. Without BCC, which the broker takes away."""
    deaths: tuple[Death, ...] = ()
    """Newest first."""

    @staticmethod
    def of(exchange: str, routing_key: str, headers: Mapping[str, Any] | None = None) -> Message:
        """A message as its producer publishes it."""
        kept = None if headers is None else {k: v for k, v in headers.items() if k != "BCC"}
        return Message(exchange, (routing_key, *_copies(headers)), kept)

    def died(self, queue: str, reason: str, exchange: str, routing_key: str | None) -> Message:
        """The message as it goes on to the dead-letter ``exchange``. With a ``routing_key`` of the
        queue's own that is the only one and CC is taken away; without one all keys are kept, BCC's
        among them."""
        death = Death(queue, reason)
        deaths = (death, *(d for d in self.deaths if d != death))
        headers = self.headers
        if headers is not None:
            dropped = ("CC",) if routing_key is not None else ()
            headers = {
                "x-first-death-queue": queue,
                "x-first-death-reason": reason,
                "x-first-death-exchange": self.exchange,
                **{k: v for k, v in headers.items() if k not in dropped},
                "x-death": deaths,  # equal to nothing: it holds the time
            }
        return replace(
            self,
            exchange=exchange,
            keys=self.keys if routing_key is None else (routing_key,),
            headers=headers,
            deaths=deaths,
        )


def _copies(headers: Mapping[str, Any] | None) -> tuple[str, ...]:
    keys: list[str] = []
    for name in _COPIES:
        values = (headers or {}).get(name)
        if isinstance(values, Sequence) and not isinstance(values, str | bytes):
            keys += [value for value in values if isinstance(value, str)]
    return tuple(keys)
