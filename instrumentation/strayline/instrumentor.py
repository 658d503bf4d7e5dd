"""Switches shims on and off: each as soon as its library is imported, never before."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from typing import Final

from strayline import settings
from strayline.guard import log, survived
from strayline.imports import Watch
from strayline.ordering import Rule, set_rule
from strayline.shims import SHIMS, Shim

_lock: Final = threading.Lock()
"""Never held while a shim works: that imports, and whoever imports may be waiting for us."""
_watches: Final[dict[str, Watch]] = {}
"""The shims that are wanted, by name; a watch that has called back stays as the mark of it."""
_active: Final[dict[str, Shim]] = {}
_said: Final[set[str]] = set()
_SERVERS: Final = (Shim("uvicorn", "uvicorn", "strayline.stopping", watches=("uvicorn.server",)),)
"""Makes no spans, so nobody chooses it; it comes with any that do."""


def instrument_libraries(
    service_name: str | None,
    only: Iterable[str] | None,
    exclude: Iterable[str] | None,
    rule: Rule | None,
) -> None:
    """See ``strayline.instrument``."""
    settings.reread()
    environment = settings.Settings.read()
    if service_name is not None:
        from strayline.resource import set_service_name

        set_service_name(service_name)
    if rule is not None:
        set_rule(rule)
    if environment.disabled:
        return
    shims = chosen(only, exclude, environment)
    for shim in (*shims, *(_SERVERS if shims else ())):
        with survived(f"watching for {shim.library}"):
            _want(shim)


def uninstrument_libraries() -> None:
    """See ``strayline.uninstrument``."""
    with _lock:
        watches, shims = list(_watches.values()), list(_active.values())
        _watches.clear()
        _active.clear()
    for watch in watches:
        watch.cancel()
    for shim in shims:
        with survived(f"uninstrumenting {shim.library}"):
            shim.off()
    set_rule(None)


def chosen(
    only: Iterable[str] | None, exclude: Iterable[str] | None, environment: settings.Settings
) -> list[Shim]:
    """The shims named by ``only`` and not by ``exclude``, by name or alias; what is None the
    environment says."""
    if only is None:
        only = environment.instrument
    kept = {shim.name for shim in SHIMS} if only is None else resolved(only)
    if exclude is None:
        exclude = environment.exclude
    if exclude is None:  # many names of OpenTelemetry's are no business of ours
        others = environment.otel_disabled
        exclude = kept if "*" in others else {name for name in others if covers(name)}
    kept -= resolved(exclude)
    return [shim for shim in SHIMS if shim.name in kept]


def resolved(names: Iterable[str]) -> set[str]:
    """The shims that names mean: their own, those of frameworks that they serve, and those of
    OpenTelemetry's instrumentations; ``-`` is as good as ``_``. What is none is said once."""
    found: set[str] = set()
    for name in (names,) if isinstance(names, str) else names:
        shim = _BY_NAME.get(_normal(name))
        if shim is not None:
            found.add(shim)
        elif name not in _said:
            _said.add(name)
            log.warning(
                "no instrumentation named %r; there are: %s", name, ", ".join(s.name for s in SHIMS)
            )
    return found


def covers(name: str) -> str | None:
    """The shim that does what OpenTelemetry's instrumentation of that name does, if one does."""
    return _BY_NAME.get(_normal(name))


def _normal(name: str) -> str:
    return name.strip().lower().replace("-", "_")


_BY_NAME: Final = {
    _normal(name): shim.name for shim in SHIMS for name in (shim.name, *shim.aliases)
}


def _want(shim: Shim) -> None:
    with _lock:
        if shim.name in _watches:
            return
        watch = _watches[shim.name] = Watch(shim.watched, functools.partial(_switch_on, shim))
    watch.start()


def _switch_on(shim: Shim) -> None:
    with survived(f"instrumenting {shim.library}"):
        try:
            shim.on()
        except BaseException:
            with survived(f"taking back half of {shim.name}"):
                shim.off()
            raise
        with _lock:
            wanted = shim.name in _watches
            if wanted:
                _active[shim.name] = shim
        if not wanted:  # uninstrumented meanwhile
            shim.off()
