"""What is prepared once a run for whatever detector may join it (see ``Detector``)."""

from __future__ import annotations

import pyarrow as pa

from strayline_collector.detect.absence import register_unheard
from strayline_collector.detect.promises import NOTHING_PROMISED
from strayline_collector.detect.thresholds import Thresholds
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Session


class Prepared:
    """Registers the same tables each run, of which ``queue_traits`` is asked for anew only when something
    was said of the topology: little is, and the question is a long one."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds.table()
        self._facts: Row | None = None
        self._traits = pa.table({})

    def register(self, session: Session, moment_ns: int) -> None:
        """Absence is judged at ``moment_ns``, the event time up to which telemetry is complete: once all that
        came was declared so, the time given then or the newest event."""
        facts = session.rows(load("detect/topology_counted"))[0]
        if facts != self._facts:
            self._traits, self._facts = session.table(load("detect/queue_traits")), facts
        session.register("queue_traits", self._traits)
        session.register("promises", NOTHING_PROMISED)  # a contract's own come with its detectors
        session.register("thresholds", self._thresholds)
        register_unheard(session)
        session.register("moment", pa.table({"now_ns": [moment_ns]}))
