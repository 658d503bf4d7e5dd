"""Notices of findings, sent to a URL.

What is to be told is written to the store first (``notices``), so that neither a restart nor a
receiver that is down loses a notice or repeats one that arrived. One thread a receiver: it waits
for nobody, and nobody waits for it. A receiver may get a notice twice when its answer was lost;
``Strayline-Delivery`` is the same then.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

from strayline.version import __version__
from strayline_collector.errors import NotFound, StoreError, UsageError
from strayline_collector.metrics import Counter, Gauge, Metric
from strayline_collector.notify.message import body, signature
from strayline_collector.query.findings import read_finding
from strayline_collector.query.wire import Finding
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Store

log = logging.getLogger(__name__)

RANKS: Final = {"info": 1, "warning": 2, "error": 3}
WAITING: Final = 1000
"""So many notices wait at most; what else is due is taken up as these arrive."""
GIVEN_UP_NS: Final = 24 * 3600 * 1_000_000_000
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 300.0
TIMEOUT_S: Final = 5.0
_RETRYABLE: Final = frozenset({408, 425, 429})
_LOOK_EVERY_S: Final = 5.0
_COMPLAIN_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where notices go. The URL may be a secret (Slack's are): it is never shown."""

    url: str
    secret: str | None = None
    least: str = "warning"
    """The least severity that is told."""

    def __str__(self) -> str:
        return urlsplit(self.url).hostname or ""

    def __repr__(self) -> str:
        return f"Receiver({self})"

    @property
    def id(self) -> str:
        """What the store knows it by."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]


def parse_receivers(
    urls: Sequence[str], secret: str | None = None, least: str = "warning"
) -> tuple[Receiver, ...]:
    """Raises ``UsageError``, which never holds a URL."""
    if not urls and secret is not None:
        raise UsageError("--webhook-secret: needs --webhook as well")
    if least not in RANKS:
        raise UsageError(f"--webhook-severity {least}: expected info, warning or error")
    if secret == "":
        raise UsageError("--webhook-secret: is empty; give a secret that the receiver knows too")
    for url in urls:
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            fine = False
        if not fine:
            raise UsageError("--webhook: expected an http:// or https:// URL (not shown here)")
    return tuple(Receiver(url, secret, least) for url in dict.fromkeys(urls))


class Webhook:
    """One receiver's thread."""

    def __init__(self, store: Store, receiver: Receiver, sent: Counter) -> None:
        self._store = store
        self._receiver = receiver
        self._sent = sent
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._told: dict[str, float] = {}
        self.waiting = 0
        self._thread = threading.Thread(target=self._forever, name="webhook", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Findings may have changed. Never waits."""
        self._wake.set()

    def stop(self) -> None:
        """Ends after the request under way; what waits is sent by the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(TIMEOUT_S + 1)

    def _forever(self) -> None:
        headers = {"content-type": "application/json", "user-agent": f"strayline/{__version__}"}
        with httpx.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=False) as client:
            while not self._stopping.is_set():
                self._wake.wait(_LOOK_EVERY_S)
                self._wake.clear()
                try:
                    self._take_up()
                    while self._deliver_all(client):
                        self._take_up()
                except StoreError:
                    log.exception("--webhook %s: notices cannot be read", self._receiver)

    def _take_up(self) -> None:
        """Writes down what is to be told now."""
        params = {"receiver": self._receiver.id}
        with self._store.read() as session:
            self.waiting = len(session.rows(load("notify/waiting"), params))
            due = session.table(
                load("notify/due"),
                {
                    **params,
                    "now_ns": time.time_ns(),
                    "least_rank": RANKS[self._receiver.least],
                    "limit": WAITING - self.waiting,
                },
            )
        if due.num_rows:
            with self._store.write() as session:
                session.register("due", due)
                session.execute(
                    "DELETE FROM notices WHERE receiver = $receiver AND id IN (SELECT id FROM due)",
                    params,
                )
                session.execute(load("notify/put"), {**params, "now_ns": time.time_ns()})
            self.waiting += due.num_rows

    def _deliver_all(self, client: httpx.Client) -> bool:
        """Sends what waits, oldest first. True when there was something and it all went."""
        with self._store.read() as session:
            waiting = session.rows(load("notify/waiting"), {"receiver": self._receiver.id})
        for notice in waiting:
            outcome = self._deliver(client, notice)
            if outcome is None:
                return False
            self._sent.add(1, outcome)
            with self._store.write() as session:
                session.execute(
                    load("notify/done"), {"receiver": self._receiver.id, "id": notice["id"]}
                )
            self.waiting -= 1
        return bool(waiting)

    def _deliver(self, client: httpx.Client, notice: Row) -> str | None:
        """What became of a notice; None when we are to stop before that is decided."""
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            finding = self._current(notice["id"])
            if finding is None:
                return "void"
            if time.time_ns() - notice["noticed_ns"] > GIVEN_UP_NS:
                self._complain("a notice is given up after a day")
                return "given_up"
            told_s: float | None = None
            try:
                answer = self._post(client, finding, notice)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self._complain(f"cannot be reached ({type(error).__name__})")
            else:
                if answer.is_success:
                    return "sent"
                self._complain(f"answers HTTP {answer.status_code}")
                if answer.status_code < 500 and answer.status_code not in _RETRYABLE:
                    return "refused"
                after = answer.headers.get("retry-after", "")
                told_s = min(float(after[:6]), LONGEST_WAIT_S) if after.isdecimal() else None
            # so that many collectors do not come back at once
            pause = told_s if told_s is not None else wait_s * random.uniform(0.5, 1.0)  # noqa: S311
            self._stopping.wait(pause)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        return None

    def _current(self, finding_id: str) -> Finding | None:
        """The finding as it is now; None when nobody is to be told of it any more."""
        with self._store.read() as session:
            try:
                finding = read_finding(session, finding_id)
            except NotFound:
                return None
        gone = finding["status"] == "retracted" or finding["triage"] == "muted"
        return None if gone else finding

    def _post(self, client: httpx.Client, finding: Finding, notice: Row) -> httpx.Response:
        name = f"{notice['id']} {notice['event']} {notice['severity']} {notice['told_to_ns']}"
        delivery = hashlib.sha256(name.encode()).hexdigest()[:16]
        content = body(finding, notice["event"], delivery)
        timestamp = str(int(time.time()))
        headers = {"strayline-delivery": delivery, "strayline-timestamp": timestamp}
        if self._receiver.secret is not None:
            headers["strayline-signature"] = signature(self._receiver.secret, timestamp, content)
        return client.post(self._receiver.url, content=content, headers=headers)

    def _complain(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told.get(text, -_COMPLAIN_S) >= _COMPLAIN_S:
            self._told[text] = now
            log.warning("--webhook %s: %s", self._receiver, text)


class Webhooks:
    """All receivers together."""

    def __init__(self, store: Store, receivers: Sequence[Receiver]) -> None:
        self._sent = Counter(
            "strayline_webhook_notices_total", "Notices by what became of them", ("outcome",)
        )
        for outcome in ("sent", "refused", "given_up", "void"):
            self._sent.add(0, outcome)
        self._each = [Webhook(store, receiver, self._sent) for receiver in receivers]

    def metrics(self) -> list[Metric]:
        if not self._each:
            return []
        waiting = Gauge(
            "strayline_webhook_waiting",
            "Notices that no receiver has yet",
            lambda: float(sum(each.waiting for each in self._each)),
        )
        return [self._sent, waiting]

    def start(self) -> None:
        for each in self._each:
            each.start()
            each.wake()

    def wake(self) -> None:
        for each in self._each:
            each.wake()

    def stop(self) -> None:
        for each in self._each:
            each.stop()
