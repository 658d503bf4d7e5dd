"""The topology as RabbitMQ's management API tells it, and how full its queues are, asked again and again.

One thread a broker. It looks every ten seconds, and soon after a service has declared something.
Only what changed is written: a thing surely held from its first sight to its last, and possibly
from the look before to the look after. While the broker does not answer, what was seen stands
as it was, and nothing is concluded for that time.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import pyarrow as pa

from strayline_collector.detect.intended import CLOCK_MARGIN_NS
from strayline_collector.detect.topology_document import read_definitions
from strayline_collector.errors import BadInput, UsageError
from strayline_collector.store.duckdb.places import place_newest
from strayline_collector.store.duckdb.queries import load
from strayline_collector.store.ports import Row, Store
from strayline_collector.tap.levels import COLUMNS, Level, Levels, Place, read_levels

log = logging.getLogger(__name__)

EVERY_S: Final = 10.0
LOOK_S: Final = 1.0
"""How often what services declared is looked at."""
TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 128 * 1024 * 1024
"""Of one list; a broker with more than about 300,000 bindings says more."""
LISTS: Final = {
    "exchanges": "vhost,name,type,durable,auto_delete,internal,arguments",
    "queues": f"vhost,name,durable,auto_delete,exclusive,arguments,{COLUMNS}",
    "bindings": "vhost,source,destination,destination_type,routing_key,arguments",
    "policies": "vhost,name,pattern,apply-to,priority,definition",
}
"""What is asked for, and the columns of it that are needed."""
COUNTED: Final = ("queues",)
"""Of these RabbitMQ's statistics are asked for too."""
_TEXT: Final = (
    "kind",
    "vhost",
    "action",
    "name",
    "type",
    "arguments",
    "source_name",
    "destination",
    "destination_kind",
    "routing_key",
)
_YES_NO: Final = ("durable", "auto_delete", "exclusive", "internal")
_SCHEMA: Final = pa.schema(
    [*((n, pa.string()) for n in _TEXT), *((n, pa.bool_()) for n in _YES_NO)]
)
Thing = tuple[Any, ...]
"""A row by ``_TEXT`` and ``_YES_NO``."""


class Unavailable(Exception):
    """The management API did not give what was asked for; the text has no credentials."""


@dataclass(frozen=True, slots=True)
class ManagementUrl:
    """Where a management API is, and the login, which is never shown."""

    url: str
    """Without credentials, without a slash at its end."""
    user: str
    password: str

    def __repr__(self) -> str:
        return f"ManagementUrl({self.url})"

    __str__ = __repr__


def parse_management_url(text: str) -> ManagementUrl:
    """``http[s]://[USER:PASSWORD@]HOST[:PORT][/PREFIX]``; the login is guest's unless given. Raises
    ``UsageError``, which does not repeat the text: a password may be in it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "--rabbitmq-api: expected http://USER:PASSWORD@HOST:15672, the address of RabbitMQ's management API"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return ManagementUrl(
        f"{parts.scheme}://{place}{parts.path.rstrip('/')}",
        unquote(parts.username or "guest"),
        unquote(parts.password or "guest"),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a broker: everything in all of its vhosts."""

    broker: str | None
    """The cluster's name."""
    things: frozenset[Thing]
    levels: Mapping[Place, Level]
    started_ns: int
    ended_ns: int


@dataclass(slots=True)
class Told:
    """Up to which load of publishes detectors know what the broker says.

    A look says something only of what was published a clock's margin before it, so that of new
    publishes the first look afterwards may be too early.
    """

    newest: int = 0
    owing_since_ns: int | None = None

    def owed(self, newest: int, look_ns: int) -> bool:
        """Whether this look is news for a load that came since the last."""
        if newest > self.newest:
            self.owing_since_ns = look_ns
        owing = self.owing_since_ns is not None
        if owing and look_ns - (self.owing_since_ns or 0) > 2 * CLOCK_MARGIN_NS:
            self.owing_since_ns = None
        return owing


class TopologyTap:
    """Asks one management API until it is stopped."""

    def __init__(self, store: Store, place: ManagementUrl, every_s: float = EVERY_S) -> None:
        self._store = store
        self._place = place
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"topology of {place.url}", daemon=True
        )
        self._declared = 0
        self._told = Told()
        self._document = document_of(place.url)
        self._levels = Levels(self._document)
        self.problem: str | None = None
        """Why the last look failed; None when it did not."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        verify = ssl.create_default_context() if self._place.url.startswith("https") else False
        # a proxy between here and the broker is nobody's intention
        with httpx.Client(
            auth=(self._place.user, self._place.password),
            verify=verify,
            timeout=TIMEOUT_S,
            trust_env=False,
        ) as client:
            due = 0.0
            while not self._stopping.is_set():
                now = time.monotonic()
                if now >= due or self._was_declared():
                    self._look(client)
                    due = time.monotonic() + self._every_s
                self._stopping.wait(min(LOOK_S, self._every_s))

    def _was_declared(self) -> bool:
        with self._store.read() as session:
            row = session.rows(load("tap/declared"))[0]
        return row["declared"] > self._declared

    def _look(self, client: httpx.Client) -> None:
        with self._store.read() as session:
            self._declared = session.rows(load("tap/declared"))[0]["declared"]
        try:
            seen = look(client, self._place.url)
            keep(self._store, self._document, seen, self._told, self._levels)
        except Unavailable as problem:
            if self.problem is None:
                log.warning(
                    "--rabbitmq-api %s: %s; what is known of its topology stays as it is, and it is asked again",
                    self._place.url,
                    problem,
                )
            self.problem = str(problem)
            return
        except Exception as error:
            self._levels = Levels(self._document)
            self.problem = type(error).__name__
            log.exception("the topology of %s could not be kept", self._place.url)
            return
        if self.problem is not None:
            log.warning("--rabbitmq-api %s: answers again", self._place.url)
        self.problem = None


def look(client: httpx.Client, url: str) -> Look:
    """Reads the whole topology. Raises ``Unavailable``."""
    started = time.time_ns()
    overview = _get(client, f"{url}/api/overview", {"columns": "cluster_name"})
    found = {
        name: _get(client, f"{url}/api/{name}", _params(name, columns))
        for name, columns in LISTS.items()
    }
    try:
        rows = read_definitions(found, None)
        counted = read_levels(found["queues"])
    except BadInput as error:
        raise Unavailable(f"it answers unlike RabbitMQ ({error})") from None
    broker = overview.get("cluster_name") if isinstance(overview, Mapping) else None
    named = [row for row in rows if row["kind"] != "binding" or row["source_name"] != ""]
    return Look(broker, frozenset(map(thing, named)), counted, started, time.time_ns())


def _params(name: str, columns: str) -> dict[str, str]:
    return {"columns": columns} if name in COUNTED else {"columns": columns, "disable_stats": "true"}  # fmt: skip


def document_of(url: str) -> str:
    """The name under which the store knows what the management API at ``url`` said."""
    return json.dumps(["management", url])


def keep(store: Store, document: str, seen: Look, told: Told, levels: Levels) -> None:
    """Writes what came and went since the last look, and tells the detectors where it matters."""
    with store.write() as session:
        loads = session.rows(load("tap/declared"))[0]
        before = session.rows(load("tap/last_check"), {"document": document})
        last_ns = before[0]["checked_ns"] if before else None
        standing = frozenset(map(thing, session.rows(load("tap/standing"), {"document": document})))
        gone, came = changes(standing, seen.things)
        news = told.owed(loads["newest"], seen.started_ns) or bool(gone) or bool(came)
        batch = loads["next"] if news or not before else before[0]["batch"]
        if gone:
            session.register("gone", _table(gone))
            times = {"last_ns": last_ns or seen.started_ns, "now_ns": seen.ended_ns}
            session.execute(load("tap/gone"), {"document": document, **times})
        if came:
            session.register("came", _table(came))
            times = {"last_ns": last_ns, "now_ns": seen.ended_ns}
            named = {"document": document, "broker": seen.broker, "batch": batch}
            session.execute(load("tap/came"), {**named, **times})
        levels.keep(
            session,
            seen.levels,
            broker=seen.broker,
            batch=batch,
            checked_ns=last_ns,
            now_ns=seen.started_ns,
        )
        session.execute(load("tap/unchecked"), {"document": document})
        session.execute(
            load("tap/checked"),
            {"batch": batch, "document": document, "checked_ns": seen.started_ns},
        )
        if news:
            session.execute(load("detect/topology_loaded"), {"now_ns": seen.ended_ns})
            place_newest(session)
        told.newest = loads["newest"]


def changes(
    before: frozenset[Thing], now: frozenset[Thing]
) -> tuple[frozenset[Thing], frozenset[Thing]]:
    """What went and what came. A thing whose options changed went and came."""
    return before - now, now - before


def thing(row: Row) -> Thing:
    """A row as something that can be compared."""
    return tuple(row.get(name) for name in (*_TEXT, *_YES_NO))


def _table(things: Iterable[Thing]) -> pa.Table:
    names = (*_TEXT, *_YES_NO)
    rows = [dict(zip(names, values, strict=True)) for values in things]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _get(client: httpx.Client, url: str, params: dict[str, str]) -> Any:
    try:
        with client.stream("GET", url, params=params) as answer:
            if answer.status_code in (401, 403):
                raise Unavailable(
                    f"it refuses the login (HTTP {answer.status_code}); give one with the tag 'monitoring' or more"
                )
            if answer.status_code != 200:
                raise Unavailable(f"it answers HTTP {answer.status_code}")
            return json.loads(_body(answer))
    except httpx.HTTPError as error:
        raise Unavailable(f"it does not answer ({type(error).__name__})") from None
    except ValueError:
        raise Unavailable("it answers no JSON") from None


def _body(answer: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > MAX_BYTES:
            raise Unavailable(f"a list is longer than {MAX_BYTES >> 20} MiB")
        parts.append(part)
    return b"".join(parts)
