"""Webhooks against a real HTTP receiver: once a finding, signed, whatever the receiver does."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from strayline_collector.errors import UsageError
from strayline_collector.metrics import render
from strayline_collector.notify import webhook as module
from strayline_collector.notify.webhook import Webhooks, parse_receivers
from strayline_collector.store.duckdb.store import DuckDBStore
from tests.detect.said import Judge, verdict
from tests.support.collector import running_collector
from tests.support.hook import Hook, hook


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(module, "TIMEOUT_S", 1.0)


@contextmanager
def notifying(store: DuckDBStore, *hooks: Hook, **options: Any) -> Iterator[Webhooks]:
    found = Webhooks(store, parse_receivers([h.url for h in hooks], **options))
    found.start()
    try:
        yield found
    finally:
        found.stop()


def quiet(webhooks: Webhooks, store: DuckDBStore) -> None:
    """Waits until every receiver has looked again and nothing waits."""
    for _ in range(2):
        time.sleep(0.12)
        webhooks.wake()
    deadline = time.monotonic() + 20
    while True:
        with store.read() as session:
            if not session.rows("SELECT 1 FROM notices WHERE waiting"):
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_finding_is_told_once_with_words_for_people_and_fields_for_programs(
    store: DuckDBStore,
) -> None:
    judge = Judge(store)
    with hook() as receiver, notifying(store, receiver) as webhooks:
        judge(*(verdict(f"m{n}", n / 10, queue="<b>&co") for n in range(12)))
        quiet(webhooks, store)
        judge(*(verdict(f"m{n}", n / 10, queue="<b>&co") for n in range(15)))
        quiet(webhooks, store)
    (content,) = receiver.bodies
    told = json.loads(content)
    finding = told["strayline"]["finding"]
    assert told["strayline"]["event"] == "opened"
    assert (finding["kind"], finding["severity"], finding["count"]) == ("reordered", "warning", 12)
    assert (len(finding["messages"]), finding["messages_truncated"]) == (10, True)
    assert finding["title"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in told["text"]  # fmt: skip
    assert [block["type"] for block in told["blocks"]] == ["header", "section", "section", "context"]  # fmt: skip
    assert len(told["blocks"][0]["text"]["text"]) <= 150


def test_it_is_signed_over_timestamp_and_body(store: DuckDBStore) -> None:
    judge = Judge(store)
    with hook() as receiver, notifying(store, receiver, secret="schlüssel") as webhooks:
        judge(verdict("m1"))
        quiet(webhooks, store)
    (headers,), (content,) = receiver.headers, receiver.bodies
    timestamp = headers["strayline-timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    expected = hmac.digest(
        "schlüssel".encode(), timestamp.encode() + b"." + content, hashlib.sha256
    )
    assert headers["strayline-signature"] == "v1=" + expected.hex()


def test_again_on_a_new_episode_and_on_a_higher_severity_only(store: DuckDBStore) -> None:
    judge = Judge(store)
    with hook() as receiver, notifying(store, receiver) as webhooks:
        for rows in (
            [verdict("m1")],
            [verdict("m1"), verdict("m2", 20)],
            [verdict("m1"), verdict("m2", 20), verdict("m3", 90)],
            [verdict("m1"), verdict("m2", 20), verdict("m3", 90, severity="error")],
            [verdict("m1"), verdict("m2", 20), verdict("m3", 90, severity="info")],
            [],
            [verdict("m1"), verdict("m2", 20), verdict("m3", 90)],
        ):
            judge(*rows)
            quiet(webhooks, store)
    assert [t["event"] for t in receiver.told] == ["opened", "episode", "severity"]


def test_nothing_is_said_of_provisional_muted_retracted_or_mere_info(store: DuckDBStore) -> None:
    judge, far_ns = Judge(store), time.time_ns() + 10**15
    (finding,) = judge(verdict("m1", facts_until_ns=far_ns, batch=9), live=True)
    assert finding["status"] == "provisional"
    with hook() as receiver, notifying(store, receiver) as webhooks:
        quiet(webhooks, store)
        judge.triage(finding["id"], triage="muted", muted_until="2100-01-01T00:00:00Z")
        judge(verdict("m1"), verdict("m2", severity="info", queue="other"))
        quiet(webhooks, store)
        assert receiver.bodies == []
    with hook() as curious, notifying(store, curious, least="info") as webhooks:
        quiet(webhooks, store)
    assert [t["finding"]["subject"]["queue"] for t in curious.told] == ["other"]


def test_a_receiver_that_fails_gets_it_later_by_one_name_and_once(store: DuckDBStore) -> None:
    judge = Judge(store)
    with hook(answers=[503, 429, 500]) as receiver, notifying(store, receiver) as webhooks:
        judge(verdict("m1"))
        receiver.wait(lambda: len(receiver.bodies) == 4)
        quiet(webhooks, store)
        text = render(webhooks.metrics())
    assert len(receiver.bodies) == 4
    assert len({headers["strayline-delivery"] for headers in receiver.headers}) == 1
    assert 'strayline_webhook_notices_total{outcome="sent"} 1' in text
    assert "strayline_webhook_waiting 0" in text


def test_a_receiver_that_refuses_for_good_is_not_asked_again(store: DuckDBStore) -> None:
    judge = Judge(store)
    with hook(answers=[400, 302]) as receiver, notifying(store, receiver) as webhooks:
        judge(verdict("m1"), verdict("m2", queue="other"))
        quiet(webhooks, store)
        assert 'outcome="refused"} 2' in render(webhooks.metrics())
    assert len(receiver.bodies) == 2


def test_what_was_muted_while_it_waited_is_not_told(store: DuckDBStore) -> None:
    judge = Judge(store)
    with hook(answers=[503] * 1000) as receiver, notifying(store, receiver) as webhooks:
        (finding,) = judge(verdict("m1"))
        receiver.wait(lambda: bool(receiver.bodies))
        judge.triage(finding["id"], triage="muted")
        quiet(webhooks, store)
        receiver.answers.clear()
        assert 'outcome="void"} 1' in render(webhooks.metrics())
        assert 'outcome="sent"} 0' in render(webhooks.metrics())


def test_a_restart_tells_nothing_twice_and_forgets_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    with hook(answers=[200] + [503] * 1000) as receiver:
        store = DuckDBStore.open(path)
        judge = Judge(store)
        with notifying(store, receiver) as webhooks:
            judge(verdict("m1"))
            quiet(webhooks, store)
            judge(verdict("m1"), verdict("m2", queue="other"))
            receiver.wait(lambda: len(receiver.bodies) > 1)
        store.close()
        receiver.answers.clear()
        store = DuckDBStore.open(path)
        before = len(receiver.bodies)
        with notifying(store, receiver) as webhooks:
            quiet(webhooks, store)
        store.close()
    assert [t["finding"]["subject"]["queue"] for t in receiver.told[before:]] == ["other"]


def test_a_receiver_that_stalls_holds_up_nobody(store: DuckDBStore) -> None:
    judge = Judge(store)
    stall = threading.Event()
    with hook(stall=stall) as slow, hook() as quick:
        started = time.monotonic()
        with notifying(store, slow, quick):
            judge(verdict("m1"))
            quick.wait(lambda: bool(quick.bodies), timeout=5)
            judged = time.monotonic()
            judge(verdict("m1"), verdict("m2", queue="other"))
            assert time.monotonic() - judged < 3
            quick.wait(lambda: len(quick.bodies) == 2, timeout=5)
        assert time.monotonic() - started < 15


def test_neither_url_nor_secret_is_ever_logged(
    store: DuckDBStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    judge = Judge(store)
    with (
        hook(answers=[500, 404]) as receiver,
        notifying(store, receiver, secret="hush") as webhooks,
    ):
        judge(verdict("m1"))
        quiet(webhooks, store)
    assert "127.0.0.1: answers HTTP 500" in caplog.text
    assert "secretpath" not in caplog.text
    assert "hush" not in caplog.text
    assert "secretpath" not in repr(parse_receivers([receiver.url], "hush"))


@pytest.mark.parametrize(
    ("urls", "options", "named"),
    [
        (["ftp://h/secretpath"], {}, "--webhook"),
        (["http://[h/secretpath"], {}, "--webhook"),
        ([], {"secret": "hush"}, "--webhook-secret"),
        (["http://h/secretpath"], {"secret": ""}, "--webhook-secret"),
        (["http://h/secretpath"], {"least": "bad"}, "--webhook-severity bad"),
    ],
)
def test_options_that_cannot_be_are_refused_without_showing_the_url(
    urls: list[str], options: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named) as error:
        parse_receivers(urls, **options)
    assert "secretpath" not in str(error.value)


def test_a_collector_tells_its_webhook_and_counts_findings(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    store = DuckDBStore.open(path)
    rows = [verdict(f"m{n}", queue=f"queue{n:02}") for n in range(60)]
    Judge(store)(*rows, verdict("more", queue="queue00"))
    store.close()
    with hook() as receiver, running_collector(path, webhooks=[receiver.url]) as collector:
        receiver.wait(lambda: len(receiver.bodies) == 60)
        text = httpx.get(f"http://{collector.api}/metrics", timeout=30).text
    labels = 'kind="reordered",verdict="",severity="warning",queue='
    assert f'strayline_findings{{{labels}"queue00"}} 1' in text
    assert f'strayline_finding_messages{{{labels}"queue00"}} 2' in text
    assert f'strayline_findings{{{labels}"other"}} 10' in text
    assert text.count("strayline_findings{") == 51
