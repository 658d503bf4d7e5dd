"""What a detector remembers of the history between two runs, so that it need not read it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from strayline_collector.store.ports import Session


@dataclass(frozen=True, slots=True)
class Reach:
    """Which loads are new. ``since``: the last that was judged, 0 for none; ``newest``: the last that is there."""

    since: int
    newest: int


class Memory(Protocol):
    """Judges what new loads can have changed, by what it remembers of the others.

    What it says must be what a judgement of the whole history says. It is kept in the process
    only: without it, after a restart, everything is judged once.
    """

    forget: str
    """Deletes what was said of ``touched``; reads it and ``$detector``."""

    def judge(self, session: Session, reach: Reach) -> tuple[pa.Table, pa.Table]:
        """``touched`` for ``forget``, and the judgements that take the place. With ``since`` 0 all
        is forgotten first."""
        ...

    def keep(self) -> None:
        """The judgements are stored: what was learned on the way holds from now on."""
        ...
