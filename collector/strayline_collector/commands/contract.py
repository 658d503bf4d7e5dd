"""``strayline contract infer``: what a running collector saw, as an AsyncAPI document."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from strayline_collector.commands import UsageProblem
from strayline_collector.commands.client import Credentials
from strayline_collector.commands.sql import ask
from strayline_collector.contract.infer import OBSERVED, infer

MAX_WAYS = 10_000


def run(api: str, service: str | None, output: Path | None, credentials: Credentials) -> None:
    """Writes the document to ``output``, else to standard output."""
    answer = ask(api, OBSERVED, MAX_WAYS, credentials)
    if answer["truncated"]:
        raise UsageProblem(
            f"more than {MAX_WAYS:,} different ways of messages were seen; choose --service"
        )
    names = [column["name"] for column in answer["columns"]]
    ways = [dict(zip(names, row, strict=True)) for row in answer["rows"]]
    document = infer(ways, service)
    if not document["channels"]:
        of = "" if service is None else f" of {service}"
        raise UsageProblem(f"no messages{of} were seen yet; send some traffic first")
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"--output {output}: {(error.strerror or str(error)).lower()}") from None
