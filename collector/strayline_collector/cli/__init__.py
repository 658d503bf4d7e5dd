"""The console script. Imports nothing heavy until a command needs it, since it comes with the bare
install; a command whose extra is missing names it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer

from strayline.version import __version__
from strayline_collector.cli import asking, files, running
from strayline_collector.commands import UsageProblem


class Command(NamedTuple):
    """One of ``strayline``'s commands."""

    name: str
    does: Callable[..., None]
    example: str
    context: dict[str, Any] | None = None


COMMANDS: Final = (
    Command("up", running.up, "strayline up --db shop.duckdb"),
    Command(
        "collector", running.collector, "strayline collector --db :memory: --otlp-http 127.0.0.1:0"
    ),
    Command("dashboard", running.dashboard, "strayline dashboard --api http://127.0.0.1:4319"),
    Command(
        "run",
        running.run,
        "strayline run --service-name billing -- gunicorn billing.web:app",
        {"allow_interspersed_args": False},
    ),
    Command("findings", asking.findings, "strayline findings --fail-on warning --json"),
    Command("check", files.check, "strayline check traces.jsonl.gz --fail-on error --format junit"),
    Command(
        "sql", asking.sql, 'strayline sql "SELECT service, count(*) FROM spans GROUP BY service"'
    ),
    Command("mcp", asking.mcp, "strayline mcp --api http://127.0.0.1:4319"),
    Command("import", files.import_files, "strayline import traces.jsonl.gz capture.pb"),
    Command("export", files.export, "strayline export --since 1h -o traces.jsonl.gz"),
    Command("compact", running.compact, "strayline compact --db shop.duckdb"),
    Command("demo", running.demo, "strayline demo --once --orders 200"),
)
"""In the order of ``--help``."""

CONTRACT_COMMANDS: Final = (
    Command("infer", asking.contract_infer, "strayline contract infer --output shop.yaml"),
)
"""Those of ``strayline contract``."""

app = typer.Typer(
    name="strayline",
    help="Distributed tracing and message debugging: where a message went, in which order, and why.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Distributed tracing and message debugging: where a message went, in which order, and why."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


contract = typer.Typer(help="Contracts: which message goes where.", no_args_is_help=True)


@contract.callback()
def contract_root() -> None:
    """Contracts: which message goes where."""


for _group, _commands in ((app, COMMANDS), (contract, CONTRACT_COMMANDS)):
    for _one in _commands:
        _group.command(_one.name, epilog=f"Example: {_one.example}", context_settings=_one.context)(
            _one.does
        )
app.add_typer(contract, name="contract")


READER_GONE: Final = 128 + 13
"""What a shell says of a program that SIGPIPE ended: ``| head`` read enough, and that is no finding."""


def main() -> NoReturn:
    """Runs the command line. Errors are one line on standard error and exit code 2."""
    if sys.argv[1:2] != ["run"]:  # its program's environment is not ours to touch
        # gRPC's core writes lines of its own about what we report in one
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
        sys.exit(code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError):
            _give_up_output()  # else the interpreter fails at it once more, at its end
        if isinstance(error, BrokenPipeError):
            sys.exit(READER_GONE)
        line = _line(error)
        if line is None:
            raise
        sys.stderr.write(line if line.startswith("Usage: ") else f"strayline: {line}")
        sys.stderr.write("\n")
        sys.exit(2)


def _run(arguments: list[str]) -> int:
    """The exit code. Not by way of the command's own ``main``, which ends with 1, as if there were
    findings, where whoever reads the output has gone."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("strayline", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


def _give_up_output() -> None:
    """Lets what was not written yet go nowhere."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _line(error: Exception) -> str | None:
    """One line for what the user can act on, or the help; None for a defect of ours."""
    if isinstance(error, UsageProblem):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return f"standard output cannot be written: {error.strerror}"
    # by name, since the bare install has no collector: errors of ours have kinds in other modules
    if any(kind.__module__ == "strayline_collector.errors" for kind in type(error).__mro__):
        return str(error)
    message: Callable[[], str] | None = getattr(
        error, "format_message", None
    )  # click's usage errors
    if message is not None:
        if type(error).__name__ == "NoArgsIsHelpError":  # a command group alone: its whole help
            return message()
        return " ".join(message().split()) + " (see --help)"
    return None


__all__ = ["COMMANDS", "CONTRACT_COMMANDS", "app", "main"]
