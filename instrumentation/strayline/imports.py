"""Tells when a library has been imported, without importing it.

A finder at the head of ``sys.meta_path`` lets the other finders find a watched module and then
observes its loader, in place: the loader keeps its type and identity, so that lazy loaders,
``importlib.util.find_spec``, ``runpy`` and resources see nothing else than before. All other
imports pass it at the price of one look into a dictionary.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from strayline.guard import survived
from strayline.lifecycle import after_fork

_OBSERVED: Final = "_strayline_observed"
_LazyModule: Final[Any] = getattr(importlib.util, "_LazyModule", None)
_lock = threading.RLock()
"""Held for our own bookkeeping only: what others do under an import lock must never wait for it."""
_waiting: Final[dict[str, tuple[Watch, ...]]] = {}
_unnoticed: Final[set[Watch]] = set()
"""Those with a module that was half loaded when first seen, or whose loader cannot be observed."""
_loading: Final[dict[str, int]] = {}
_loaded: Final[set[str]] = set()


class Watch:
    """What is to be done when one of some modules is loaded; see
    ``when_imported``."""

    def __init__(self, names: Iterable[str], callback: Callable[[], None]) -> None:
        self.names = tuple(names)
        self._callback = callback
        self._done = False

    def start(self) -> None:
        """Begins to watch."""
        with _lock:
            for name in self.names:
                _waiting[name] = (*_waiting.get(name, ()), self)
                module = sys.modules.get(name)
                if module is None:
                    continue
                if type(module) is _LazyModule:
                    _observe(object.__getattribute__(module, "__spec__"))
                elif _is_loaded(name) is False and name not in _loading:
                    _unnoticed.add(self)
            if _FINDER not in sys.meta_path:
                sys.meta_path.insert(0, _FINDER)
        self.settle()

    def cancel(self) -> None:
        """Forgets about it. When nothing is watched any more the finder goes too."""
        with _lock:
            self._leave()
            self._tidy()

    def _leave(self) -> None:
        self._done = True
        _unnoticed.discard(self)
        for name in self.names:
            left = tuple(watch for watch in _waiting.get(name, ()) if watch is not self)
            if left:
                _waiting[name] = left
            else:
                _waiting.pop(name, None)

    def _tidy(self) -> None:
        for name in self.names:
            if name not in _waiting:
                _loading.pop(name, None)
                _loaded.discard(name)
        if not _waiting and _FINDER in sys.meta_path:
            sys.meta_path.remove(_FINDER)

    def settle(self, failed: str | None = None) -> None:
        """Calls back if it is time to, once. ``failed`` is a module whose import just failed."""
        with _lock:
            states = [None if name == failed else _is_loaded(name) for name in self.names]
            if self._done or False in states or True not in states:
                return
            self._leave()
        with survived(f"following the import of {self.names[0]}"):
            # may watch the same module for more: that it is loaded, though its import statement is
            # not done, is known until then
            self._callback()
        with _lock:
            self._tidy()


def when_imported(names: Iterable[str], callback: Callable[[], None]) -> Watch:
    """Calls ``callback`` once, as soon as one of the modules is loaded and none of them is half
    loaded; at once when that is so already. It runs in the thread that imports, before its
    ``import`` statement is done."""
    watch = Watch(names, callback)
    watch.start()
    return watch


def _is_loaded(name: str) -> bool | None:
    """None for a module not imported yet, False for one that is being imported."""
    if _loading.get(name):
        return False
    module = sys.modules.get(name)
    if module is None or type(module) is _LazyModule:
        return None
    if name in _loaded:
        return True
    return getattr(getattr(module, "__spec__", None), "_initializing", False) is not True


class _Finder:
    """First in ``sys.meta_path``; finds nothing itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _unnoticed:
            for watch in tuple(_unnoticed):
                watch.settle()
        if name not in _waiting:
            return None
        others = list(sys.meta_path)
        if self in others:
            others = others[others.index(self) + 1 :]
        for finder in others:
            find: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                with survived("watching an import"):
                    _observe(spec)
                return spec
        return None


_FINDER: Final[Any] = _Finder()


def _observe(spec: ModuleSpec) -> None:
    """Makes the loader tell when it executes a module. Once a loader; some load many modules."""
    loader: Any = spec.loader
    execute: Callable[[ModuleType], None] | None = getattr(loader, "exec_module", None)
    if execute is None or hasattr(execute, _OBSERVED):
        return

    def exec_module(module: ModuleType) -> None:
        name = module.__name__
        if name not in _waiting:
            execute(module)
            return
        with _lock:
            _loading[name] = _loading.get(name, 0) + 1
        failed: str | None = name
        try:
            execute(module)
            failed = None
        finally:
            _executed(name, failed)

    setattr(exec_module, _OBSERVED, True)
    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError):
        _unnoticed.update(_waiting.get(spec.name, ()))


def _start_over() -> None:
    global _lock
    _lock = threading.RLock()


def _executed(name: str, failed: str | None) -> None:
    with _lock:
        watches = _waiting.get(name, ())
        if watches:
            _loading[name] = _loading.get(name, 1) - 1
            if failed is None:
                _loaded.add(name)
    for watch in watches:
        watch.settle(failed)


after_fork(_start_over)
