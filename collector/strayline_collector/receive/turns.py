"""Who may read a gRPC message now. gRPC tells a message's size only by the message, so memory is
bounded by how many are read at once: each may be of the largest size.

The others wait unread, held back by HTTP/2's flow control at some kilobytes each.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from strayline_collector.errors import Overloaded
from strayline_collector.memory import Budget

T = TypeVar("T")

WAIT_S: Final = 5.0
"""For a turn; exporters give up after ten seconds."""
READ_S: Final = 30.0
CONTENDED_S: Final = 2.0
"""A reader that takes this long gives way to those who wait."""
_TICK_S: Final = 0.5


class Turns:
    """At most ``places`` messages at once. Used from the event loop only."""

    def __init__(self, places: int, budget: Budget) -> None:
        self._free = places
        self._budget = budget
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def read(self, message: Callable[[], Awaitable[T]]) -> T:
        """What ``message()`` gives, in turn. Raises ``Overloaded``."""
        if self._budget.exhausted():
            raise Overloaded("the collector is at its memory limit; send again later")
        await self._turn()
        reading = asyncio.ensure_future(message())
        try:
            waited = 0.0
            while not (await asyncio.wait((reading,), timeout=_TICK_S))[0]:
                waited += _TICK_S
                if waited >= READ_S or (waited >= CONTENDED_S and self._waiting):
                    raise Overloaded("the message took too long to arrive; send again later")
            return reading.result()
        finally:
            reading.cancel()
            self._next()

    async def _turn(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait_for(turn, WAIT_S)
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._next()  # it came just as we left
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded("too many messages arrive at once; send again later") from None
            raise

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
