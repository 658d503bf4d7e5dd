"""Runs the detectors over what is new, and keeps verdicts and findings current.

Judging reads a snapshot; only replacing what was said of the touched keys takes the writer's
lock. A detector that raises keeps its old cursor, so that its keys are judged again next time,
and the others run on.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from strayline_collector.detect import DETECTORS
from strayline_collector.detect.detector import Detector
from strayline_collector.detect.digest import Digest
from strayline_collector.detect.figures import Opened
from strayline_collector.detect.findings import refresh, triaged_messages
from strayline_collector.detect.incidents import Incidents
from strayline_collector.detect.memory import Memory, Reach
from strayline_collector.detect.peers import recent_batch
from strayline_collector.detect.prepared import Prepared
from strayline_collector.detect.thresholds import DEFAULTS, Thresholds
from strayline_collector.detect.watermark import Watermark, read_watermark, rfc3339
from strayline_collector.errors import StoreError
from strayline_collector.query.wire import DetectionStatus, Settled
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Session, Store

log = logging.getLogger(__name__)

POPULATION_PAUSE_S: Final = 5.0
"""Detectors that weigh every message of a day run at most this often while traffic flows,"""

POPULATION_REST: Final = 10.0
POPULATION_REST_S: Final = 60.0
"""and rest this many times as long as they took, so long at most: the day may be a full one."""

WRITE_PAUSE_S: Final = 10.0
"""What detectors remember is written this often: after a crash so much is judged twice."""

_NEWEST: Final = "SELECT coalesce(max(batch), 0) AS batch FROM loaded"
_CURSORS: Final = "SELECT key, value FROM meta WHERE key LIKE 'judged:%' OR key LIKE 'version:%' OR key LIKE 'moment:%' OR key LIKE 'settled_%' OR key = 'moved_batch'"
_SPOKE: Final = "SELECT DISTINCT detector FROM judgements"
_NEWEST_EVENT: Final = "SELECT max(least(last_event_ns, heard_ns)) AS event_ns FROM processes"


@dataclass(slots=True)
class _Judged:
    detector: Detector
    newest: int
    version: str
    touched: pa.Table
    rows: pa.Table
    anew: bool = False
    """Everything was judged; what was said before goes."""
    memory: Memory | None = None


class _Asked:
    """What was asked for in this run already, by other detectors."""

    def __init__(self) -> None:
        self._begins: dict[int, int] = {}
        self._tables: dict[tuple[str, int], pa.Table] = {}

    def begin(self, session: Session, since: int) -> int:
        """The load before which nothing is about the messages of the loads after ``since``. What is newly
        said of the topology is about all."""
        if since not in self._begins:
            row = session.rows(load("detect/from_batch"), {"since": since})[0]
            self._begins[since] = int(row["batch"])
        return self._begins[since]

    def table(self, session: Session, sql: str, bounds: dict[str, int]) -> pa.Table:
        """The keys that new loads touch, or what is near them, by ``sql``."""
        key = (sql, bounds["since"])
        if key not in self._tables:
            self._tables[key] = session.table(sql, _named(sql, bounds))
        return self._tables[key]


_REQUIRED: Final = (
    "key", "kind", "severity", "confidence", "role", "message", "evidence", "event_ns", "facts_until_ns", "batch",
)  # fmt: skip
"""What a row of ``judgements`` must have."""


class Runner:
    """Judges a store's history. One at a time: ``run`` and ``settle`` exclude each other."""

    def __init__(
        self,
        store: Store,
        lateness_s: float = 30.0,
        detectors: Sequence[Detector] = DETECTORS,
        thresholds: Thresholds = DEFAULTS,
    ) -> None:
        self._store = store
        self._lateness_ns = int(lateness_s * 1e9)
        self._detectors = detectors
        self._thresholds = thresholds
        self._lock = threading.Lock()
        self._runs = 0
        self._population_at = 0.0
        self._population_s = 0.0
        """How long they took the last time."""
        self._paused_until: dict[str, float] = {}
        self._watermark = Watermark(None, 0)
        self._prepared = Prepared(thresholds)
        self._digest = Digest()
        self._incidents = Incidents()
        self._memories = {d.name: d.memory() for d in detectors if d.memory is not None}
        self._remembering: set[str] = set()
        self._written: dict[str, float] = {}
        """Detector name → when its memory was written last."""
        self.opened = Opened()
        self.failures: dict[str, str] = {}
        """Detector name → traceback of its last run, where that failed: its keys are unknown."""

    def run(self) -> None:
        """Judges what loads since the last run touched."""
        with self._lock:
            now = time.monotonic()
            rest = min(POPULATION_REST * self._population_s, POPULATION_REST_S)
            population = now - self._population_at >= max(POPULATION_PAUSE_S, rest)
            if population:
                self._population_at = now
            self._run(population=population, settle=False)

    def settle(self, now_ns: int | None = None) -> Settled:
        """Judges everything loaded so far as complete: afterwards nothing is provisional.

        ``now_ns`` is the event time at which absence is judged (None: the newest event).
        """
        with self._lock:
            self._run(population=True, settle=True, now_ns=now_ns)
            with self._store.read() as session:
                counts = session.rows(load("detect/finding_counts"))[0]
        return Settled(findings=int(counts["findings"]), provisional=int(counts["provisional"]))

    def status(self) -> DetectionStatus:
        """The watermark in event time, how far the newest event is past it, and the runs so far."""
        mark = self._watermark
        return DetectionStatus(
            watermark=None if mark.event_ns is None else rfc3339(mark.event_ns),
            lag_s=mark.lag_ns / 1e9,
            runs=self._runs,
        )

    def _run(self, *, population: bool, settle: bool, now_ns: int | None = None) -> None:
        with self._store.read() as session:
            newest = int(session.rows(_NEWEST)[0]["batch"])
            known = {r["key"]: r["value"] for r in session.rows(_CURSORS)}
            self._watermark = read_watermark(session, time.time_ns())
            live_ns = (self._watermark.event_ns or 0) - self._lateness_ns
            settled = settle or int(known.get("settled_batch", 0)) >= newest
            given_ns = now_ns if settle else int(known.get("settled_now_ns", 0))
            moment_ns = (given_ns or _newest_event(session)) if settled else live_ns
            due = [
                d
                for d in self._detectors
                if (population or not d.population) and (settle or self._is_due(d))
            ]
            if any(detector.population for detector in due):
                self._population_s = 0.0
            judged = self._until_one_fails(session, due, known, newest, moment_ns)
        while due:  # an error within a statement ends its snapshot
            with self._store.read() as session:
                judged += self._until_one_fails(session, due, known, newest, moment_ns)
        settled_batch = newest if settle else int(known.get("settled_batch", 0))
        with self._store.write() as session:
            triaged = triaged_messages(session)
            cursors: dict[str, str] = {}
            self._incidents.begin(session)
            spoke = {row["detector"] for row in session.rows(_SPOKE)}
            for result in judged:
                _replace(session, result, self._incidents, spoke)
                cursors[f"judged:{result.detector.name}"] = str(result.newest)
                cursors[f"version:{result.detector.name}"] = result.version
                if result.detector.clocked:
                    cursors[f"moment:{result.detector.name}"] = str(moment_ns)
                self._write_down(session, result)
            if settle:
                cursors |= {"settled_batch": str(newest), "settled_now_ns": str(now_ns or 0)}
            _remember(session, cursors)
            incidents = self._incidents.read(
                session,
                settled_batch=settled_batch,
                final_until_ns=now_ns if settle and now_ns is not None else live_ns,
            )
            opened = refresh(session, incidents, triaged, now_ns=time.time_ns())
        self._incidents.keep()
        for result in judged:
            if result.memory is not None:
                result.memory.keep()
                self._remembering.add(result.detector.name)
        self.opened.add(opened)
        self._runs += 1

    def _write_down(self, session: Session, result: _Judged) -> None:
        """Writes what a detector remembers into the store, with the judgements that it belongs to."""
        name, now = result.detector.name, time.monotonic()
        if result.memory is None:
            return
        if not result.anew and now - self._written.get(name, 0.0) < WRITE_PAUSE_S:
            return
        self._written[name] = now
        session.execute(load("detect/memory_forget"), {"detector": name})
        values = {"detector": name, "batch": result.newest, "value": result.memory.written()}
        session.execute(load("detect/memory_keep"), values)

    def _is_due(self, detector: Detector) -> bool:
        now = time.monotonic()
        if now < self._paused_until.get(detector.name, 0.0):
            return False
        self._paused_until[detector.name] = now + detector.pause_s
        return True

    def _until_one_fails(
        self,
        session: Session,
        due: list[Detector],
        known: dict[str, str],
        newest: int,
        moment_ns: int,
    ) -> list[_Judged]:
        """Judges by ``due``, one after another, and takes those that had their turn off it."""
        self._prepared.register(session, moment_ns)
        self._digest.register(session, newest)
        asked = _Asked()
        judged: list[_Judged] = []
        while due:
            detector = due.pop(0)
            began = time.monotonic()
            try:
                result = self._judge(session, detector, known, newest, asked)
                _refuse_gaps(result)
            except Exception as error:
                self.failures[detector.name] = traceback.format_exc()
                told = "detector %s failed; its verdicts stay as they were"
                if isinstance(error, StoreError):  # its words say where
                    log.error(f"{told}: %s", detector.name, str(error).splitlines()[0])
                else:
                    log.exception(told, detector.name)
                break
            if detector.population:
                self._population_s += time.monotonic() - began
            if result is not None:
                self.failures.pop(detector.name, None)
                judged.append(result)
        return judged

    def _judge(
        self,
        session: Session,
        detector: Detector,
        known: dict[str, str],
        newest: int,
        asked: _Asked,
    ) -> _Judged | None:
        since = int(known.get(f"judged:{detector.name}", 0))
        version = self._thresholds.told()
        if detector.version is not None:
            version += detector.version(session)
        if version != known.get(f"version:{detector.name}", ""):
            since = 0
        if since >= newest and not detector.clocked:
            return None
        # something is another broker's now: what was said of it where it was goes
        anew = since < int(known.get("moved_batch", 0))
        if anew:
            since = 0
        if (memory := self._memories.get(detector.name)) is not None:
            return self._by_memory(session, detector, memory, Reach(since, newest), version)
        bounds = {"since": since, "from": asked.begin(session, since)}
        if "$judged_ns" in detector.touched:
            bounds["judged_ns"] = int(known.get(f"moment:{detector.name}", 0))
        if "$dead" in detector.touched:
            bounds["dead"] = self._digest.stirred(frozenset({"dead"}))
        if "$recent" in detector.judge:
            bounds["recent"] = recent_batch(session)
        touched = asked.table(session, detector.touched, bounds)
        rows = touched.slice(0, 0)
        if touched.num_rows and self._may_speak(detector):
            session.register("touched", touched)
            if detector.near:
                near = asked.table(session, detector.near, bounds)
                if not near.num_rows:
                    return _Judged(detector, newest, version, touched, rows)
                session.register("near", near)
            if detector.prepare is None or detector.prepare(session) is not False:
                rows = session.table(detector.judge, _named(detector.judge, bounds))
        return _Judged(detector, newest, version, touched, rows, anew)

    def _may_speak(self, detector: Detector) -> bool:
        return not detector.only_with or self._digest.stirred(detector.only_with)

    def _by_memory(
        self, session: Session, detector: Detector, memory: Memory, reach: Reach, version: str
    ) -> _Judged:
        if detector.name not in self._remembering:
            reach = _recalled(session, detector, memory, reach)
        if detector.prepare is not None:
            detector.prepare(session)
        touched, rows = memory.judge(session, reach)
        return _Judged(detector, reach.newest, version, touched, rows, not reach.since, memory)


def _recalled(session: Session, detector: Detector, memory: Memory, reach: Reach) -> Reach:
    """From where on a new process judges: what was written down, where that still holds."""
    rows = session.rows(load("detect/memory"), {"detector": detector.name}) if reach.since else []
    if not rows or rows[0]["batch"] > reach.since or not memory.read(rows[0]["value"]):
        return Reach(0, reach.newest)
    return Reach(int(rows[0]["batch"]), reach.newest)


def _named(sql: str, values: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in values.items() if f"${name}" in sql}


def _newest_event(session: Session) -> int:
    return int(session.rows(_NEWEST_EVENT)[0]["event_ns"] or 0)


def _replace(session: Session, result: _Judged, incidents: Incidents, spoke: Set[str]) -> None:
    """``spoke``: the detectors by which something was said."""
    name = result.detector.name
    if name not in spoke:
        pass
    elif result.anew:
        incidents.forget(session, load("detect/gone_all"), name)
    elif result.touched.num_rows:
        gone = load("detect/gone_touched") if result.memory is None else result.memory.gone
        session.register("touched", result.touched)
        incidents.forget(session, gone, name)
    if result.rows.num_rows:
        session.register("judged", result.rows)
        incidents.add(session, name)


def _refuse_gaps(result: _Judged | None) -> None:
    """A verdict that lacks what every verdict has would stop what all detectors say from being kept."""
    if result is None:
        return
    for name in _REQUIRED:
        if name in result.rows.column_names and result.rows[name].null_count:
            raise ValueError(f"a verdict without {name}")


def _remember(session: Session, values: dict[str, str]) -> None:
    told = {"key": list(values), "value": list(values.values())}
    session.register("remembered", pa.table(told, pa.schema({name: pa.string() for name in told})))
    session.execute("DELETE FROM meta WHERE key IN (SELECT key FROM remembered)")
    session.execute("INSERT INTO meta SELECT key, value FROM remembered")
