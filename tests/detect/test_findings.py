"""The life of a finding: identity, one finding a message, episodes, status, triage."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from strayline_collector.detect import DETECTORS
from strayline_collector.detect.detector import Detector
from strayline_collector.detect.runner import Runner
from strayline_collector.errors import BadInput
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.histories import publish_row, put
from tests.detect.said import MINUTE_NS, Judge, verdict


def test_the_id_is_sha_256_over_the_identity_as_canonical_json(store: DuckDBStore) -> None:
    (finding,) = Judge(store)(verdict("m1", queue="bestellungen.ü", consumer_service=None))
    text = (
        '["reordered",null,"requeue",null,"rabbit","/","bestellungen.ü","x","k","orders"]'.encode()
    )
    assert finding["id"] == "fnd_" + hashlib.sha256(text).hexdigest()[:16]


@pytest.mark.parametrize(
    ("column", "names", "stands_as"),
    [
        ("queue", ("amq.gen-Jk1", "amq.gen-Zz2"), "*"),
        ("queue", ("reply.0b0c1e9a-2d6e-4f7a-9c58-6f2b1a3d4e5f", "reply.1b0c1e9a-2d6e-4f7a-9c58-6f2b1a3d4e5F"), "reply.*"),
        ("routing_key", ("amq.rabbitmq.reply-to.g1h2", "amq.rabbitmq.reply-to.g3h4"), "*"),
        ("exchange", ("amq.gen-1", "amq.gen-2"), "*"),
        ("queue", ("0b0c1e9a2d6e4f7a9c586f2b1a3d4e5f", "0b0c1e9a2d6e4f7a9c586f2b1a3d4e60"), "*"),
    ],
)  # fmt: skip
def test_names_that_a_client_or_broker_made_up_found_one_incident(
    store: DuckDBStore, column: str, names: tuple[str, str], stands_as: str
) -> None:
    rows = [verdict(f"m{n}", **{column: name}) for n, name in enumerate(names)]
    (finding,) = Judge(store)(*rows)
    assert (finding[column], finding["count"]) == (stands_as, 2)


@pytest.mark.parametrize("name", ["orders.v2", "amq.topic", "deadbeef", "shop-2024-01"])
def test_names_that_people_gave_stay(store: DuckDBStore, name: str) -> None:
    (finding,) = Judge(store)(verdict("m1", queue=name))
    assert finding["queue"] == name


def test_a_message_is_in_one_finding_per_kind_and_queue(store: DuckDBStore) -> None:
    def strayed(how: str, message: str) -> dict[str, object]:
        proven = how in ("contract", "stale_binding")
        return verdict(
            message, kind="misrouted", verdict=how, cause=None, role="strayed", confidence="proven" if proven else "inferred",
            evidence=json.dumps({"actual_queues": ["work"], "expected_queues": ["other"]}),
        )  # fmt: skip

    ladder = ("outlier", "refused", "stale_binding", "contract")
    rows = [strayed(how, f"m{n}") for n in range(4) for how in ladder[: n + 1]]
    found = {f["verdict"]: f["count"] for f in Judge(store)(*rows) if f["status"] != "retracted"}
    assert found == dict.fromkeys(ladder, 1)


def test_of_equal_verdicts_the_proven_one_stands_and_counts_once(store: DuckDBStore) -> None:
    told: dict[str, Any] = {"kind": "unroutable", "cause": None, "role": "missing", "queue": None}
    inferred = verdict("m1", confidence="inferred", **told)
    (finding,) = Judge(store)(inferred, verdict("m1", severity="error", **told))
    assert (finding["count"], finding["confidence"], finding["severity"]) == (1, "proven", "error")
    with store.read() as session:
        assert len(session.rows("SELECT * FROM finding_verdicts")) == 1


def test_inferred_evidence_is_never_an_error(store: DuckDBStore) -> None:
    rows = [verdict("m1", confidence="inferred", severity="error"), verdict("m2", severity="info")]
    (finding,) = Judge(store)(*rows)
    assert (finding["severity"], finding["confidence"]) == ("warning", "proven")


def test_context_does_not_count(store: DuckDBStore) -> None:
    (finding,) = Judge(store)(verdict("m1"), verdict("m2", role="overtaker"))
    assert finding["count"] == 1
    assert Judge(store)(verdict("m2", role="overtaker"))[0]["status"] == "retracted"


def test_episodes_part_where_nothing_happened_for_half_an_hour(store: DuckDBStore) -> None:
    minutes = (0, 30, 10, 61, 200)
    (finding,) = Judge(store)(*(verdict(f"m{m}", m) for m in minutes))
    assert [
        (e["from_ns"] // MINUTE_NS, e["to_ns"] // MINUTE_NS, e["count"])
        for e in json.loads(finding["episodes"])
    ] == [(0, 30, 3), (61, 61, 1), (200, 200, 1)]
    assert (finding["first_seen_ns"], finding["last_seen_ns"]) == (0, 200 * MINUTE_NS)


def test_live_a_verdict_opens_once_the_watermark_is_past_its_last_fact_and_the_lateness(
    store: DuckDBStore,
) -> None:
    def heard(at_ns: int) -> None:
        now_ns = time.time_ns()
        with store.write() as session:
            session.execute("DELETE FROM processes")
            session.execute(
                "INSERT INTO processes VALUES ('p', 'orders', 'h', 0, $at, $now)",
                {"at": at_ns, "now": now_ns},
            )

    judge, base_ns = Judge(store, lateness_s=45.0), time.time_ns() - 3600 * 1_000_000_000
    late = verdict("m1", facts_until_ns=base_ns)
    for after_s, status in ((0, "provisional"), (44, "provisional"), (45, "open")):
        heard(base_ns + after_s * 1_000_000_000)
        (finding,) = judge(late, live=True)
        assert finding["status"] == status
    # later facts judge again
    (finding,) = judge({**late, "facts_until_ns": base_ns + 10_000_000_000}, live=True)
    assert finding["status"] == "provisional"
    (finding,) = judge(live=True)
    assert (finding["status"], finding["count"]) == ("retracted", 0)


def test_after_settling_nothing_is_provisional_until_something_loads(store: DuckDBStore) -> None:
    judge, far_ns = Judge(store), time.time_ns() + 10**15
    assert judge(verdict("m1", facts_until_ns=far_ns))[0]["status"] == "open"
    assert judge(verdict("m1", facts_until_ns=far_ns), live=True)[0]["status"] == "open"
    put(store, {}, batch=2)
    (finding,) = judge(verdict("m1", facts_until_ns=far_ns, batch=2), live=True)
    assert finding["status"] == "provisional"


def test_triage_survives_retraction_and_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    store = DuckDBStore.open(path)
    judge = Judge(store)
    (finding,) = judge(verdict("m1"))
    judge.triage(finding["id"], triage="acknowledged", note="known since Tuesday")
    assert judge()[0]["status"] == "retracted"
    store.close()
    store = DuckDBStore.open(path)
    (again,) = Judge(store)(verdict("m1"))
    assert (again["status"], again["triage"], again["note"]) == (
        "open", "acknowledged", "known since Tuesday",
    )  # fmt: skip
    store.close()


@pytest.mark.parametrize(
    ("then", "triage"),
    [
        ([verdict("m1"), verdict("m2", 29)], "acknowledged"),  # the same episode grown
        ([verdict("m1", 20)], "acknowledged"),  # and moved a little
        ([verdict("m1"), verdict("m2", 31)], "new"),
        ([verdict("m2", 100)], "new"),  # the first went, another came
        ([verdict("m1", severity="error")], "new"),
        ([verdict("m1", severity="info")], "acknowledged"),
    ],
)
def test_an_acknowledgement_ends_with_a_new_episode_or_a_higher_severity(
    store: DuckDBStore, then: list[dict[str, object]], triage: str
) -> None:
    judge = Judge(store)
    (finding,) = judge(verdict("m1"))
    judge.triage(finding["id"], triage="acknowledged")
    assert judge(*then)[0]["triage"] == triage


def test_muting_holds_until_the_time_that_was_said(store: DuckDBStore) -> None:
    judge = Judge(store)
    (finding,) = judge(verdict("m1"))
    judge.triage(finding["id"], triage="muted", muted_until="2100-01-01T00:00:00Z")
    worse = (verdict("m1", severity="error"), verdict("m2", 500))
    assert judge(*worse)[0]["triage"] == "muted"
    with pytest.raises(BadInput, match="muted_until=2020-01-01T00:00:00Z: is over"):
        judge.triage(finding["id"], muted_until="2020-01-01T00:00:00Z")
    judge.triage(finding["id"], now_ns=1, muted_until="2020-01-01T00:00:00Z")
    (finding,) = judge(*worse)
    assert (finding["triage"], finding["muted_until_ns"]) == ("new", None)


def test_a_time_to_mute_until_belongs_to_muting(store: DuckDBStore) -> None:
    judge = Judge(store)
    (finding,) = judge(verdict("m1"))
    with pytest.raises(BadInput, match="muted_until"):
        judge.triage(finding["id"], muted_until="2100-01-01T00:00:00Z")
    judge.triage(finding["id"], triage="muted", muted_until="2100-01-01T00:00:00Z")
    judge.triage(finding["id"], triage="new")
    assert judge(verdict("m1"))[0]["muted_until_ns"] is None


def test_when_the_cause_changes_triage_follows_where_most_messages_went(store: DuckDBStore) -> None:
    judge = Judge(store)
    (left,) = judge(*(verdict(f"m{n}") for n in range(5)))
    judge.triage(left["id"], triage="muted", note="deploys")
    causes = ("channel_closed", "channel_closed", "channel_closed", "unknown", "requeue")
    moved = judge(*(verdict(f"m{n}", cause=cause) for n, cause in enumerate(causes)))
    found = {f["cause"]: (f["triage"], f["note"], f["count"]) for f in moved}
    assert found == {
        "requeue": ("muted", "deploys", 1),
        "channel_closed": ("muted", "deploys", 3),
        "unknown": ("new", None, 1),
    }


def test_triage_stays_where_most_messages_stay_and_overrides_nothing_said(
    store: DuckDBStore,
) -> None:
    judge = Judge(store)
    (left,) = judge(*(verdict(f"m{n}") for n in range(3)))
    judge.triage(left["id"], triage="muted")
    causes = ("requeue", "requeue", "unknown")
    rows = [verdict(f"m{n}", cause=cause) for n, cause in enumerate(causes)]
    assert {f["cause"]: f["triage"] for f in judge(*rows)} == {"requeue": "muted", "unknown": "new"}
    other = next(f["id"] for f in judge(*rows) if f["cause"] == "unknown")
    judge.triage(other, triage="acknowledged")
    rows = [verdict(f"m{n}", cause="unknown") for n in range(3)]
    assert {f["cause"]: f["triage"] for f in judge(*rows)}["unknown"] == "acknowledged"


def test_an_acknowledgement_that_follows_into_a_worse_finding_ends(store: DuckDBStore) -> None:
    judge = Judge(store)
    (left,) = judge(verdict("m1"))
    judge.triage(left["id"], triage="acknowledged", note="seen")
    found = {f["cause"]: f for f in judge(verdict("m1", cause="unknown", severity="error"))}
    assert (found["unknown"]["triage"], found["unknown"]["note"]) == ("new", "seen")


def test_a_detector_that_fails_midway_leaves_the_others_their_verdicts(store: DuckDBStore) -> None:
    """An error within a statement, not of it: that ends the transaction that it happens in."""
    put(store, {})
    touched = "SELECT 'all' AS key WHERE $since >= 0"
    overflowing = Detector("overflowing", touched, "SELECT 9223372036854775807 + batch FROM loaded")
    judge = Judge(store)
    judge.runner = Runner(store, detectors=(overflowing, *judge.detectors))
    judge.rows = [verdict("m1")]
    judge.runner.settle()
    assert list(judge.runner.failures) == ["overflowing"]
    with store.read() as session:
        assert len(session.rows("SELECT * FROM findings")) == 1
        assert not session.rows("SELECT * FROM meta WHERE key = 'judged:overflowing'")


def test_a_verdict_that_lacks_what_each_must_have_stops_its_detector_alone(
    store: DuckDBStore,
) -> None:
    judge = Judge(store)
    judge.rows = [verdict("m1", facts_until_ns=None)]
    put(store, {"publish_facts": [publish_row(n) for n in range(1, 21)]}, batch=2)
    runner = Runner(store, detectors=(*judge.detectors, *DETECTORS))
    runner.settle()
    assert list(runner.failures) == ["told"]
    assert "a verdict without facts_until_ns" in runner.failures["told"]
    with store.read() as session:
        (finding,) = session.rows("SELECT kind FROM findings")
    assert finding["kind"] == "uninstrumented"
