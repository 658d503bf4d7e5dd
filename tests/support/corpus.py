"""Recorded traffic under ``tests/corpus``: frames, requests, ground truth."""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from strayline_collector.decode.otlp import decode, from_json
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position

CORPUS = Path(__file__).parents[1] / "corpus"
RECORDINGS = ("a_healthy_proto", "b_misroute", "d_reorder_nack")
"""One NestJS system, in ``corpus/nest``."""
LAB = (
    "nest_faults",
    "answers",
    "requeue",
    "dead_letters",
    "stolen",
    "python_pika",
    "python_celery",
    "go_faults",
    "java",
    "spring",
)
"""Small systems, each with something that goes wrong in it, in ``corpus/lab``."""


def _directory(name: str) -> Path:
    return CORPUS / ("lab" if name in LAB else "nest") / name


def truth(name: str) -> dict[str, Any]:
    """What really happened, from the processes' own logs."""
    return json.loads((_directory(name) / "ground_truth.json").read_text())


def frames(name: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """(how it was sent, body as received) of every recorded request."""
    with gzip.open(_directory(name) / "requests.bin.gz", "rb") as file:
        while len(head := file.read(4)) == 4:
            meta = json.loads(file.read(struct.unpack(">I", head)[0]))
            yield meta, file.read(struct.unpack(">I", file.read(4))[0])


def requests(name: str) -> list[bytes]:
    """Protobuf bodies of the trace requests, uncompressed, in order of arrival."""
    found: list[bytes] = []
    for meta, body in frames(name):
        if "trace" not in meta["path"].lower():
            continue
        zipped = meta["headers"].get("content-encoding") == "gzip" and meta["transport"] == "http"
        told = gzip.decompress(body) if zipped else body
        json_told = "json" in meta["headers"].get("content-type", "")
        found.append(from_json(told) if json_told else told)
    return found


def load_recording(
    store: DuckDBStore,
    name: str,
    *,
    shuffle_seed: int | None = None,
    times: int = 1,
    chunk: int = 5,
    received_ns: int = 1_795_400_000_000_000_000,
    changed: Callable[[bytes], bytes] | None = None,
) -> None:
    """Loads a recording into a store, ``chunk`` requests a load, possibly shuffled or repeated, each
    request ``changed`` before."""
    bodies = requests(name) * times
    if changed is not None:
        bodies = [changed(body) for body in bodies]
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(bodies)
    last = store.position()
    offset = last.byte_offset if last is not None else 0
    for index in range(0, len(bodies), chunk):
        offset += 1
        store.append(
            decode(bodies[index : index + chunk], received_ns), Position(1, offset), received_ns
        )
