"""A watch calls back once its modules are loaded, whoever imports them and however."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strayline.imports import Watch, when_imported

Library = Callable[..., Path]
_OURS = {"slib", "inner", "outer", "pack", "plain", "gate", "later", "application"}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """Writes modules (``a__b`` is ``a/b.py``, a package's own file ``a____init__``) to be imported
    by this test alone."""
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)

    def write(**files: str) -> Path:
        for name, text in files.items():
            file = tmp_path / (_path(name) + ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return tmp_path

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    assert sys.meta_path == finders, "a watch was left behind"


def _path(name: str) -> str:
    package, dot, rest = name.partition("__")
    return f"{package}/{rest}" if dot else name


@pytest.fixture
def watch() -> Iterator[Callable[..., list[str]]]:
    """Watches; gives a list that says which of the modules were whole when it called back."""
    watches: list[Watch] = []

    def start(*names: str) -> list[str]:
        heard: list[str] = []

        def loaded() -> None:
            heard.append(" ".join(n for n in names if hasattr(sys.modules.get(n), "DONE")))

        watches.append(when_imported(names, loaded))
        return heard

    yield start
    for each in watches:
        each.cancel()


def test_a_library_imported_later_is_whole_when_we_hear_of_it(library, watch) -> None:
    library(slib="import json\nDONE = True")
    heard = watch("slib")
    assert heard == []
    importlib.import_module("slib")
    assert heard == ["slib"]


def test_a_library_imported_before_is_heard_of_at_once(library, watch) -> None:
    library(slib="DONE = True")
    importlib.import_module("slib")
    assert watch("slib") == ["slib"]


def test_a_library_is_heard_of_before_its_import_statement_is_done(library, watch) -> None:
    library(slib="DONE = True\nvalue = 1")
    late = when_imported(["slib"], lambda: setattr(sys.modules["slib"], "value", 2))
    namespace: dict[str, int] = {}
    exec("from slib import value", namespace)
    assert namespace["value"] == 2
    late.cancel()


def test_with_two_libraries_the_outer_one_is_whole_too(library, watch) -> None:
    library(
        outer____init__="from outer import inside\nDONE = True",
        outer__inside="import inner",
        inner="DONE = True",
    )
    heard = watch("inner", "outer")
    importlib.import_module("outer")
    assert heard == ["inner outer"]


def test_the_inner_library_alone_is_enough(library, watch) -> None:
    library(outer="import inner\nDONE = True", inner="DONE = True")
    heard = watch("inner", "outer")
    importlib.import_module("inner")
    assert heard == ["inner"]


def test_a_submodule_is_heard_of_and_its_package_is_not_enough(library, watch) -> None:
    library(pack____init__="DONE = True", pack__apps="DONE = True")
    heard = watch("pack.apps")
    importlib.import_module("pack")
    assert heard == []
    importlib.import_module("pack.apps")
    assert heard == ["pack.apps"]


def test_a_callback_may_import_more_of_the_library(library) -> None:
    library(pack____init__="DONE = True", pack__more="DONE = True", pack__apps="DONE = True")
    heard: list[object] = []
    late = when_imported(
        ["pack.apps", "pack.more"], lambda: heard.append(importlib.import_module("pack.more"))
    )
    importlib.import_module("pack.apps")
    assert heard == [sys.modules["pack.more"]]
    late.cancel()


def test_a_callback_that_watches_the_same_library_for_more_is_told_at_once(library) -> None:
    """A shim that is switched on by one of a library's modules goes on to watch for the rest of it."""
    library(slib="DONE = True")
    heard: list[str] = []
    inner: list[Watch] = []

    def loaded() -> None:
        inner.append(when_imported(["slib"], lambda: heard.append("inner")))
        heard.append("outer")

    outer = when_imported(["slib"], loaded)
    importlib.import_module("slib")
    assert heard == ["inner", "outer"]
    for each in (outer, *inner):
        each.cancel()


def test_a_library_imported_last_of_all_is_instrumented_as_a_whole() -> None:
    """Nothing is imported after it that could bring the news."""
    program = (
        "import sys, strayline.auto\n"
        "import aio_pika\n"
        "print(sys.modules['aio_pika.queue'].QueueIterator.__anext__.__code__.co_filename)\n"
        "import fastapi\n"
        "print(sys.modules['fastapi'].FastAPI.__call__.__code__.co_filename)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
    )
    files = [Path(line).name for line in done.stdout.split()]
    assert files == ["aio_pika_iterator.py", "asgi.py"]


def test_a_callback_that_fails_breaks_no_import(library) -> None:
    library(slib="DONE = True")
    late = when_imported(["slib"], lambda: 1 / 0)
    assert importlib.import_module("slib").DONE
    late.cancel()


def test_a_failing_import_fails_as_before_and_is_no_news(library, watch) -> None:
    folder = library(slib="import inner\nraise ValueError('broken')", inner="DONE = True")
    heard = watch("slib", "inner")
    with pytest.raises(ValueError, match="broken"):
        importlib.import_module("slib")
    assert heard == ["inner"], "of the part that is there we hear when the rest has failed"
    (folder / "slib.py").write_text("DONE = True")
    importlib.invalidate_caches()
    assert importlib.import_module("slib").DONE


def test_a_missing_library_is_missing_as_before(library, watch) -> None:
    heard = watch("no_such_library_here")
    with pytest.raises(ModuleNotFoundError, match="no_such_library_here"):
        importlib.import_module("no_such_library_here")
    assert heard == []
    assert importlib.util.find_spec("no_such_library_here") is None


def test_a_library_half_loaded_by_this_very_import_is_heard_of_when_whole(library) -> None:
    """The library imports the application, which instruments."""
    library(
        slib="import application\nDONE = True",
        application="""
            from strayline.imports import when_imported
            import sys
            heard = []
            watch = when_imported(["slib"], lambda: heard.append(hasattr(sys.modules["slib"], "DONE")))
        """,
        later="",
    )
    importlib.import_module("slib")
    importlib.import_module("later")
    application = sys.modules["application"]
    assert application.heard == [True]
    application.watch.cancel()


def test_a_library_being_imported_by_another_thread_is_heard_of_when_whole(library, watch) -> None:
    library(
        slib="import gate\ngate.reached.set()\ngate.go.wait(20)\nDONE = True", gate="", later=""
    )
    gate = importlib.import_module("gate")
    gate.reached, gate.go = threading.Event(), threading.Event()
    thread = threading.Thread(target=importlib.import_module, args=("slib",))
    thread.start()
    assert gate.reached.wait(20)
    heard = watch("slib")
    assert heard == []
    gate.go.set()
    thread.join(20)
    importlib.import_module("later")
    assert heard == ["slib"]


def test_threads_that_import_both_libraries_at_once_are_heard_of_once(library, watch) -> None:
    library(
        outer="import inner, time\ntime.sleep(0.01)\nDONE = True",
        inner="import time\ntime.sleep(0.01)\nDONE = True",
    )
    heard = watch("inner", "outer")
    threads = [
        threading.Thread(target=importlib.import_module, args=(name,))
        for name in ("outer", "inner", "outer", "inner")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert heard in (["inner outer"], ["inner"])


def test_a_lazy_library_stays_lazy_and_is_heard_of_when_used(library, watch) -> None:
    library(slib="DONE = True\nvalue = 1")
    heard = watch("slib")
    module = _lazily("slib")
    assert heard == []
    assert module.value == 1
    assert heard == ["slib"]


def test_a_library_made_lazy_before_is_heard_of_when_used(library, watch) -> None:
    library(slib="DONE = True\nvalue = 1")
    module = _lazily("slib")
    heard = watch("slib")
    assert heard == []
    assert module.value == 1
    assert heard == ["slib"]


def _lazily(name: str):
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_libraries_in_a_zip_file_share_a_loader_and_are_told_apart(
    tmp_path, monkeypatch, library, watch
) -> None:
    archive = tmp_path / "libraries.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inner.py", "DONE = True")
        file.writestr("outer.py", "import inner, plain\nDONE = True")
        file.writestr("plain.py", "")
    monkeypatch.syspath_prepend(str(archive))
    inner, outer = watch("inner"), watch("outer")
    importlib.import_module("outer")
    assert (inner, outer) == (["inner"], ["outer"])


def test_loader_and_resources_are_the_librarys_own(library, watch) -> None:
    folder = library(pack____init__="DONE = True")
    (folder / "pack" / "data.txt").write_text("data")
    plain = importlib.util.find_spec("pack")
    watch("pack")
    spec = importlib.util.find_spec("pack")
    assert plain is not None
    assert spec is not None
    assert type(spec.loader) is type(plain.loader)
    assert "pack" not in sys.modules
    importlib.import_module("pack")
    assert pkgutil.get_data("pack", "data.txt") == b"data"


def test_a_reloaded_library_is_no_news(library, watch) -> None:
    library(slib="DONE = True")
    heard = watch("slib")
    module = importlib.import_module("slib")
    importlib.reload(module)
    assert heard == ["slib"]


def test_a_cancelled_watch_hears_nothing_and_leaves_nothing(library) -> None:
    library(slib="DONE = True")
    heard: list[int] = []
    late = when_imported(["slib"], lambda: heard.append(1))
    importlib.util.find_spec("slib")  # its loader was observed
    late.cancel()
    importlib.import_module("slib")
    assert heard == []


def test_a_stand_in_for_a_library_is_taken_for_it(library, watch, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "slib", object())  # pyright: ignore[reportArgumentType]
    assert watch("slib") == [""]


def test_another_finder_that_asks_all_finders_ends(library, watch, monkeypatch) -> None:
    """The pattern of other import hooks: delegate to ``importlib.util.find_spec`` once."""

    class Other:
        busy = False

        def find_spec(self, name, path=None, target=None):
            if self.busy or name != "slib":
                return None
            self.busy = True
            try:
                return importlib.util.find_spec(name)
            finally:
                self.busy = False

    library(slib="DONE = True")
    before, behind = Other(), Other()
    heard = watch("slib")
    sys.meta_path.insert(0, before)  # pyright: ignore[reportArgumentType]
    sys.meta_path.insert(2, behind)  # pyright: ignore[reportArgumentType]
    try:
        importlib.import_module("slib")
    finally:
        sys.meta_path.remove(before)  # pyright: ignore[reportArgumentType]
        sys.meta_path.remove(behind)  # pyright: ignore[reportArgumentType]
    assert heard == ["slib"]


def test_a_watched_package_can_be_run_as_a_program(library) -> None:
    folder = library(
        pack____init__="",
        pack____main__="import sys; print(sys.modules['__main__'].__spec__.name, sys.argv[1:])",
    )
    program = (
        "import runpy, sys\nfrom strayline.imports import when_imported\n"
        "when_imported(['pack'], lambda: print('heard'))\n"
        "sys.argv = ['x', 'a']\nrunpy.run_module('pack', run_name='__main__', alter_sys=True)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    assert out.stdout.split("\n")[:2] == ["heard", "pack.__main__ ['a']"]
