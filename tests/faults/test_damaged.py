"""Damaged files: a start with what is sound and a word about the rest, or one clear line and the
file left as it was. Never a traceback, never a loss in silence."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.test_kill import BLOCKED_STORE
from tests.support.collector import RunningCollector, running_collector
from tests.support.otlp import PROTOBUF, body

SPANS = 3
LOADED = range(1, 9)
"""Traces in the database's checkpointed part."""
LOGGED = range(9, 17)
"""Traces in the database's write-ahead log."""
JOURNALLED = range(17, 27)
"""Traces in the journal alone, each request of the same size."""

NO_CHECKPOINT = """
from strayline_collector.store.duckdb.store import DuckDBStore
DuckDBStore.maintain = lambda _: None
"""


@dataclass(frozen=True)
class Files:
    """A database, its write-ahead log and its journal, as kill -9 left them."""

    db: Path

    @property
    def wal(self) -> Path:
        return Path(f"{self.db}.wal")

    @property
    def segment(self) -> Path:
        """The one with records."""
        return max(Path(f"{self.db}.journal").glob("*.segment"), key=lambda p: p.stat().st_size)

    def digest(self) -> str:
        """Of database and log; absent ones count too."""
        parts = [p.read_bytes() if p.exists() else b"-" for p in (self.db, self.wal)]
        return hashlib.sha256(b"|".join(parts)).hexdigest()


def send(collector: RunningCollector, traces: range) -> None:
    for number in traces:
        answer = httpx.post(
            f"http://{collector.otlp_http}/v1/traces",
            content=body(number, spans=SPANS, filler=200),
            headers=PROTOBUF,
        )
        assert answer.status_code == 200


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """One collector stopped cleanly, one killed after loading, one before loading."""
    db = tmp_path_factory.mktemp("killed") / "s.duckdb"
    with running_collector(db) as collector:
        send(collector, LOADED)
        collector.settle()
        collector.terminate()
    with running_collector(db, prelude=NO_CHECKPOINT) as collector:
        send(collector, LOGGED)
        collector.settle()
        collector.kill()
    with running_collector(db, prelude=BLOCKED_STORE) as collector:
        send(collector, JOURNALLED)
        collector.kill()
    files = Files(db)
    assert files.wal.stat().st_size > 0
    return files


@pytest.fixture
def files(killed: Files, tmp_path: Path) -> Files:
    """A copy to damage."""
    shutil.copytree(killed.db.parent, tmp_path / "copy")
    return Files(tmp_path / "copy" / killed.db.name)


@dataclass(frozen=True)
class Outcome:
    """``traces`` None: refused to start."""

    traces: set[int] | None
    said: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.said, self.said
        assert "panic" not in self.said.lower(), self.said


def start(files: Files) -> Outcome:
    """Starts ``strayline collector`` on them, asks everything, stops it."""
    doors = [w for door in ("--otlp-http", "--otlp-grpc", "--api") for w in (door, "127.0.0.1:0")]
    process = subprocess.Popen(
        [sys.executable, "-m", "strayline_collector", "collector", "--db", str(files.db), *doors],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=None,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = process.stdout.readline()
        found: set[int] | None = None
        if first:
            lines = [first]
            while "api" not in lines[-1].lower():
                lines.append(process.stdout.readline())
                assert lines[-1], lines
            found = _asked(lines[-1].split("http://")[-1].split()[0].rstrip("/"))
            process.terminate()
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    if found is None:
        assert process.returncode == 2, said
        (line,) = said.strip().splitlines()
        assert str(files.db) in line, line
    return Outcome(found, said)


def _asked(api: str) -> set[int]:
    """The traces that are shown; those that cannot be read are not."""
    settled = httpx.post(f"http://{api}/api/v1/detection/settle", timeout=60)
    answers = {"settle": settled}
    for path in ("status", "traces?limit=1000", "graph", "services"):
        answers[path] = httpx.get(f"http://{api}/api/v1/{path}", timeout=60)
    for path, answer in answers.items():
        if answer.status_code != 200:
            problem = json.loads(answer.text)
            assert "Traceback" not in answer.text
            assert problem["status"] == answer.status_code, path
            assert "\n" not in problem["detail"].strip(), problem
    if answers["traces?limit=1000"].status_code != 200:
        return set()
    items = answers["traces?limit=1000"].json()["items"]
    assert {item["spans"] for item in items} <= {SPANS}
    return {int(item["trace_id"], 16) for item in items}


ALL = {*LOADED, *LOGGED, *JOURNALLED}


def test_undamaged_everything_is_there(files: Files) -> None:
    assert start(files) == Outcome(ALL, "")


def flip(path: Path, offset: int, mask: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= mask
    path.write_bytes(data)


def record_bytes(segment: Path) -> tuple[int, int]:
    """Bytes of one record, and of its head."""
    size = segment.stat().st_size // len(JOURNALLED)
    return size, size - len(body(JOURNALLED[0], spans=SPANS, filler=200))


JOURNAL_DAMAGE: dict[int, Callable[[Path, int, int], None]] = {
    # which of ten records, and what is done to it (file, its start, bytes of a head)
    0: lambda path, at, head: flip(path, at),  # its first byte
    2: lambda path, at, head: flip(path, at + 4),  # length
    4: lambda path, at, head: flip(path, at + 7, 1),  # lowest bit of the length
    6: lambda path, at, head: flip(path, at + head - 1),  # last byte of the head
    8: lambda path, at, head: flip(path, at + head + 30, 1),  # body
}


def test_damage_in_the_journal_costs_its_records_alone_and_is_said(files: Files) -> None:
    """Every other record, each in another place, and the end of the last."""
    size, head = record_bytes(files.segment)
    for number, damage in JOURNAL_DAMAGE.items():
        damage(files.segment, number * size, head)
    with files.segment.open("r+b") as file:
        file.truncate(files.segment.stat().st_size - 1)
    outcome = start(files)
    assert outcome.traces == ALL - {JOURNALLED[number] for number in (*JOURNAL_DAMAGE, 9)}
    assert outcome.said.count(".segment") == 1 + len(JOURNAL_DAMAGE)


def test_a_journal_that_ends_within_a_record_costs_that_record(files: Files) -> None:
    with files.segment.open("r+b") as file:
        file.truncate(files.segment.stat().st_size - 200)
    outcome = start(files)
    assert outcome.traces == ALL - {JOURNALLED[-1]}
    assert ".segment" in outcome.said


def test_a_journal_of_zeros_or_garbage_is_said(files: Files, rng: random.Random) -> None:
    size = files.segment.stat().st_size
    files.segment.write_bytes(bytes(size // 2) + rng.randbytes(size // 2))
    outcome = start(files)
    assert outcome.traces == {*LOADED, *LOGGED}
    assert ".segment" in outcome.said


@pytest.mark.parametrize("damage", ["cut in half", "cut by one", "flipped", "garbage"])
def test_a_damaged_log_is_one_line_or_a_word(files: Files, rng: random.Random, damage: str) -> None:
    size = files.wal.stat().st_size
    if damage == "flipped":
        flip(files.wal, rng.randrange(size))
    elif damage == "garbage":
        files.wal.write_bytes(rng.randbytes(size))
    else:
        keep = {"cut in half": size // 2, "cut by one": size - 1}[damage]
        files.wal.write_bytes(files.wal.read_bytes()[:keep])
    before = files.digest()
    outcome = start(files)
    if outcome.traces is None:
        assert files.digest() == before
    elif not outcome.traces >= {*LOADED, *LOGGED}:
        assert outcome.traces >= {*LOADED}
        assert outcome.said


@pytest.mark.parametrize(
    "damage",
    ["cut in half", "empty", "header", "second header", "flipped", "garbage"],
)
def test_a_damaged_database_is_one_line_or_answers(
    files: Files, rng: random.Random, damage: str
) -> None:
    size = files.db.stat().st_size
    data = bytearray(files.db.read_bytes())
    if damage.startswith("cut"):
        del data[size // 2 :]
    elif damage == "empty":
        data.clear()
    elif damage == "garbage":
        data[:] = rng.randbytes(size)
    else:
        area = {"header": (0, 4096), "second header": (4096, 12288), "flipped": (12288, size)}
        for _ in range(20):
            data[rng.randrange(*area[damage])] ^= 1 << rng.randrange(8)
    files.db.write_bytes(data)
    before = files.digest()
    outcome = start(files)
    if outcome.traces is None:
        assert files.digest() == before
    elif not outcome.traces >= ALL:
        assert outcome.said


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00" + bytes(8192)])
def test_another_programs_file_is_left_as_it_was(tmp_path: Path, content: bytes) -> None:
    files = Files(tmp_path / "s.duckdb")
    files.db.write_bytes(content)
    before = files.digest()
    assert start(files).traces is None
    assert files.digest() == before


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["db", "wal", "segment"])
def test_bits_flipped_anywhere(
    killed: Files, tmp_path: Path, rng: random.Random, part: str
) -> None:
    """Forty places a file."""
    for attempt in range(40):
        copy = tmp_path / str(attempt)
        shutil.copytree(killed.db.parent, copy)
        files = Files(copy / killed.db.name)
        path: Path = getattr(files, part)
        offset = rng.randrange(path.stat().st_size)
        print(f"{part}: bit flipped at {offset} of {path.stat().st_size}")
        flip(path, offset, 1 << rng.randrange(8))
        before = files.digest()
        outcome = start(files)
        if outcome.traces is None:
            assert files.digest() == before
        elif outcome.traces != ALL:
            assert outcome.said
