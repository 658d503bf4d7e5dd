"""Switches shims on and off."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterable
from typing import Final

from strayline import ordering
from strayline.guard import log, survived
from strayline.provider import set_service_name
from strayline.settings import Settings, dup, stamp_excluded
from strayline.shims import SHIMS, Shim

_lock: Final = threading.RLock()
_active: Final[dict[str, Shim]] = {}


def instrument_libraries(
    service_name: str | None, only: Iterable[str] | None, rule: ordering.Rule | None
) -> None:
    """See ``strayline.instrument``."""
    settings = Settings.read()
    stamp_excluded.cache_clear()
    dup.cache_clear()
    if service_name is not None:
        set_service_name(service_name)
    if rule is not None:
        ordering.set_rule(rule)
    if settings.disabled:
        return
    wanted = set(only) if only is not None else settings.instrument
    if wanted is not None:
        for name in sorted(wanted - {shim.name for shim in SHIMS}):
            log.warning(
                "no instrumentation named %r; there are: %s", name, ", ".join(s.name for s in SHIMS)
            )
    with _lock:
        for shim in SHIMS:
            if shim.name in _active or (wanted is not None and shim.name not in wanted):
                continue
            if importlib.util.find_spec(shim.library) is None:
                continue
            with survived(f"instrumenting {shim.library}"):
                shim.on()
                _active[shim.name] = shim


def uninstrument_libraries() -> None:
    """See ``strayline.uninstrument``."""
    with _lock:
        for name in list(_active):
            with survived(f"uninstrumenting {name}"):
                _active.pop(name).off()
        ordering.set_rule(None)
