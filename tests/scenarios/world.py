"""The process in which scenarios play: real clients with our shims, all at once on one loop.

``python -m tests.scenarios.world FILE``: FILE is a JSON list of plays ``{name, twin, url, log}``
with the management's URL. Ends when all have ended and everything is sent; what a play failed of
is beside its log, as ``.error``."""

import strayline.auto  # noqa: F401, I001 - first, as users do it
import asyncio
import json
import sys
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.scenarios.log import Log
from tests.scenarios.play import Play
from tests.scenarios.scenarios import SCENARIOS


async def play(plan: dict[str, str], gate: asyncio.Semaphore) -> None:
    scenario = next(s for s in SCENARIOS if s.name == plan["name"])
    program = scenario.healthy if plan["twin"] else scenario.faulty
    assert program is not None
    log = Log(Path(plan["log"]))
    async with gate, asyncio.timeout(90), AsyncExitStack() as stack:
        await program(Play(plan["url"], plan["management"], log, stack))
    log.close()


async def main(plans: list[dict[str, Any]]) -> None:
    gate = asyncio.Semaphore(12)
    ended = await asyncio.gather(*(play(plan, gate) for plan in plans), return_exceptions=True)
    for plan, end in zip(plans, ended, strict=True):
        if isinstance(end, BaseException):
            told = "".join(traceback.format_exception(end))
            Path(plan["log"]).with_suffix(".error").write_text(told)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
