"""Servers whose graceful stop ends in the very signal that asked for it, past ``atexit``: uvicorn,
which raises SIGTERM again once its handlers are restored."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from strayline.lifecycle import leave
from strayline.patching import Patches

_patches: Final = Patches()


def on() -> None:
    """Has every server send what is left before it ends."""
    _patches.wrap(sys.modules["uvicorn.server"].Server, "shutdown", _shutdown)


def off() -> None:
    _patches.undo()


def _shutdown(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def shutdown(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        finally:
            if getattr(self, "_captured_signals", True):
                await asyncio.get_running_loop().run_in_executor(None, leave)

    return shutdown
