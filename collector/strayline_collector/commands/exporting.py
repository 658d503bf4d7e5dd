"""``strayline export``: from a running collector to a file or standard output."""

from __future__ import annotations

import gzip
import os
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from strayline_collector.commands import UsageProblem
from strayline_collector.commands.client import Credentials, connect, refusal, unreachable

_SUFFIXES: Final = {".json": "json", ".jsonl": "jsonl", ".pb": "protobuf"}
FORMATS: Final = ("json", "jsonl", "protobuf", "jaeger")
_AGO: Final = re.compile(r"(\d{1,9})([smhd])\Z")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(
    api: str,
    trace: str | None,
    since: str | None,
    until: str | None,
    form: str | None,
    output: Path | None,
    credentials: Credentials = Credentials(),  # noqa: B008 - frozen
) -> None:
    """Writes what the collector gives. A file appears whole or not at all."""
    if trace is not None and (since is not None or until is not None):
        raise UsageProblem("--trace names one trace, whole: leave out --since and --until")
    if output is not None and not output.name:
        raise UsageProblem(f"-o {output}: is a directory; name a file in it")
    params = {
        "trace_id": trace,
        "since": _moment(since),
        "until": _moment(until),
        "format": _format(form, output),
    }
    try:
        with (
            connect(api, credentials, option="--api") as client,
            client.stream(
                "GET",
                "/api/v1/export",
                params={name: value for name, value in params.items() if value is not None},
            ) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                raise refusal(api, answer)
            with _opened(output) as file:
                for piece in answer.iter_bytes():
                    file.write(piece)
    except httpx.RemoteProtocolError:
        raise UsageProblem(
            f"--api {api}: the collector broke off midway; its log says why"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise unreachable("--api", api, error, "no collector answers there") from None
    except OSError as error:
        if output is None:
            raise
        raise UsageProblem(f"{output}: cannot be written: {error.strerror or error}") from None


def _moment(told: str | None) -> str | None:
    """``15m`` is that long ago; anything else the API reads itself."""
    ago = _AGO.match(told or "")
    if ago is None:
        return told
    return str(time.time_ns() - int(ago[1]) * _UNIT_S[ago[2]] * 1_000_000_000)


def _format(told: str | None, output: Path | None) -> str:
    if told is not None and told not in FORMATS:
        raise UsageProblem(f"--format {told}: expected one of {', '.join(FORMATS)}")
    if told is not None or output is None:
        return told or "json"
    return _SUFFIXES.get(Path(output.name.removesuffix(".gz")).suffix, "json")


@contextmanager
def _opened(output: Path | None) -> Generator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    beside = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            if output.name.endswith(".gz"):
                with gzip.GzipFile("", "wb", fileobj=file) as packed:
                    yield packed  # type: ignore[misc]  # writes bytes as a file does
            else:
                yield file
        beside.replace(output)
    finally:
        beside.unlink(missing_ok=True)
