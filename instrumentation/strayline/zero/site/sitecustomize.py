# Run by Python at its start, because `strayline run` put this directory on PYTHONPATH. It is read
# by whatever Python the program and its children use, of any environment and version: no syntax
# newer than Python 2.7, nothing but the standard library, and no failure of ours may get out.
#
# strayline itself takes 30 ms to import, so it waits until one of its libraries is wanted: children
# that use none pay 1 ms.
#
# pyright: basic
import os
import sys

LIBRARIES = frozenset(
    (
        "aio_pika",
        "aiohttp",
        "aiormq",
        "amqp",
        "celery",
        "django",
        "fastapi",
        "flask",
        "grpc",
        "httpx",
        "kombu",
        "pika",
        "requests",
        "starlette",
        "uvicorn",
    )
)


class FirstLibrary(object):  # noqa: UP004
    """A finder that finds nothing, and brings strayline when a library of its is looked for."""

    def find_spec(self, name, path=None, target=None):
        if name not in LIBRARIES or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        try:
            __import__("strayline.auto")
        except Exception as error:  # noqa: BLE001
            said(error)
        for finder in list(sys.meta_path):  # strayline's has come in front of where we were
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None


def said(error):
    # once in a tree of processes: the children's stderr may be somebody's data
    if "STRAYLINE_RUN_SAID" not in os.environ:
        os.environ["STRAYLINE_RUN_SAID"] = "1"
        sys.stderr.write(
            "strayline: not instrumented, since strayline cannot be imported by %s: %s: %s\n"  # noqa: UP031
            % (sys.executable, type(error).__name__, error)
        )


def run_next_sitecustomize():
    """Runs the module of this name that would have been found without us; what it raises, the
    site module reports as it always does."""
    try:
        from importlib.machinery import PathFinder
    except ImportError:
        return
    here = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if sys.version_info >= (3, 4):  # noqa: UP036
    sys.meta_path.insert(0, FirstLibrary())
run_next_sitecustomize()
