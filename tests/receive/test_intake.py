"""What a door's request goes through: our own disk first, then everything else."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from strayline_collector.errors import BadInput, Overloaded
from strayline_collector.receive.file_journal import FileJournal
from strayline_collector.receive.intake import Intake
from tests.support import otlp


def test_another_backend_gets_what_is_on_our_disk_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path / "j", None)
    on_disk: list[bool] = []

    def passed_on(body: bytes) -> None:
        (segment,) = (tmp_path / "j").glob("*.segment")
        on_disk.append(body in segment.read_bytes())

    intake = Intake(journal, lambda: None, passed_on)

    async def send() -> None:
        await asyncio.gather(*(intake.traces(otlp.body(spans=20)) for _ in range(10)))
        with pytest.raises(BadInput):
            await intake.traces(b"\xff")

        def full(descriptor: int, pieces: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "writev", full)
        with pytest.raises(Overloaded):
            await intake.traces(otlp.body())

    asyncio.run(send())
    assert on_disk == [True] * 10
    journal.close()
