"""Every option can be said by the environment, and says by which name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperOption

from strayline_collector.cli import app
from tests.cli.test_cli import clear_line, strayline
from tests.support.collector import running_collector


def options(command: Any, path: str = "") -> Iterator[tuple[str, TyperOption]]:
    for name, one in getattr(command, "commands", {}).items():
        yield from options(one, f"{path} {name}".strip())
    for parameter in command.params:
        if isinstance(parameter, TyperOption) and parameter.name not in ("help", "version"):
            yield path, parameter


ALL = list(options(typer.main.get_command(app)))


@pytest.mark.parametrize(("command", "option"), ALL, ids=[f"{c} {o.opts[0]}" for c, o in ALL])
def test_every_option_reads_the_variable_of_its_name(command: str, option: TyperOption) -> None:
    longest = max(option.opts, key=len).removeprefix("--").removeprefix("no-")
    expected = f"STRAYLINE_{longest.upper().replace('-', '_')}"
    if option.multiple:  # several values in one variable, separated by what suits them
        assert f"in {expected} separated by" in str(option.help)
    else:
        assert option.envvar == expected


def test_what_the_environment_says_is_taken_and_named_when_it_is_wrong(tmp_path: Path) -> None:
    clear_line(strayline("collector", STRAYLINE_API="here"), "here", "HOST:PORT")
    clear_line(
        strayline("collector", "--db", ":memory:", STRAYLINE_MEMORY_LIMIT="lots"), "lots", "512MB"
    )


def test_an_argument_comes_before_the_environment() -> None:
    with running_collector() as collector:
        there = f"http://{collector.api}"
        done = strayline("findings", "--api", there, STRAYLINE_API="http://127.0.0.1:1")
        assert (done.returncode, done.stdout) == (0, "no findings\n")
        done = strayline("findings", STRAYLINE_API=there)
        assert (done.returncode, done.stdout) == (0, "no findings\n")


def test_a_store_in_memory_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    program = f"import os; os.chdir({str(tmp_path)!r})"
    with running_collector(":memory:", prelude=program) as collector:
        collector.replay("b_misroute")
        collector.settle()
        assert [finding["count"] for finding in collector.findings()] == [10]
        assert list(tmp_path.iterdir()) == []
        collector.terminate()
    assert list(tmp_path.iterdir()) == []
