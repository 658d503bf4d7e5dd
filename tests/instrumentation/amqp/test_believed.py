"""What a process believes of the topology, and tells again."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from strayline import census
from strayline.amqp import Broker, believed, topology
from strayline.amqp.believed import Beliefs
from strayline.export.http import HttpSender
from strayline.settings import Settings
from tests.instrumentation.conftest import Spans

BROKER = Broker("rabbit@shop", "/")


def queue(name: str, action: str = "declare", **more: Any) -> dict[str, Any]:
    return {"action": action, "kind": "queue", "name": name, **more}


def binding(destination: str, key: str, action: str = "bind") -> dict[str, Any]:
    return topology.bound(
        action, "queue", {"exchange": "x", "queue": destination, "routing_key": key}
    )


def told(beliefs: Beliefs) -> list[tuple[str, str]]:
    items = [json.loads(word.text) for word in beliefs.words()]
    return sorted(
        (i["action"], i.get("name") or f"{i['destination']}/{i['routing_key']}") for i in items
    )


def noted(
    *items: dict[str, Any], beliefs: Beliefs | None = None, broker: Broker = BROKER
) -> Beliefs:
    found = beliefs or Beliefs()
    for number, item in enumerate(items):
        found.note(broker, item, json.dumps({**item, "n": number}), "{}")
    return found


def test_the_last_word_on_a_thing_stands() -> None:
    assert told(noted(queue("q"), binding("q", "a"), binding("q", "b"), binding("q", "a", "unbind"))) == [
        ("bind", "q/b"), ("declare", "q"), ("unbind", "q/a"),
    ]  # fmt: skip


def test_a_deleted_queue_takes_its_bindings_along() -> None:
    assert told(noted(queue("q"), queue("r"), binding("q", "a"), binding("r", "a"), queue("q", "delete"))) == [
        ("bind", "r/a"), ("declare", "q"), ("declare", "r"), ("delete", "q"),
    ]  # fmt: skip


def test_a_delete_stands_beside_the_next_declare() -> None:
    """Others may believe in bindings that it ended."""
    assert told(noted(queue("r"), queue("q"), queue("q", "delete"), queue("q"))) == [
        ("declare", "q"), ("declare", "r"), ("delete", "q"),
    ]  # fmt: skip


def test_events_are_no_belief() -> None:
    assert told(noted(queue("q", "check"), queue("q", "purge"))) == []


def test_the_first_word_stays_beside_a_later_one() -> None:
    """By it a collector knows which of two releases is the newer, when both connect anew."""
    words = noted(queue("q"), queue("q")).words()
    assert [json.loads(word.text)["n"] for word in words] == [0, 1]


@pytest.mark.parametrize("option", ["exclusive", "auto_delete"])
def test_a_fleeting_queue_goes_with_its_connection(option: str) -> None:
    ended = False
    fleeting = Broker("rabbit@shop", "/", is_gone=lambda: ended)
    beliefs = noted(queue("lasting"), broker=fleeting)
    noted(
        queue("q", **{option: True}),
        binding("q", "a"),
        binding("lasting", "a"),
        broker=fleeting,
        beliefs=beliefs,
    )
    assert len(told(beliefs)) == 4
    ended = True
    assert told(beliefs) == [("bind", "lasting/a"), ("declare", "lasting")]


def test_nobody_else_believes_in_a_fleeting_queue_that_is_deleted() -> None:
    assert told(noted(queue("q", exclusive=True), binding("q", "a"), queue("q", "delete"))) == []


def test_memory_is_bounded_and_says_what_it_lost() -> None:
    beliefs = noted(
        *(queue(f"q{n}", auto_delete=True) for n in range(9)), beliefs=Beliefs(standing=4, ended=2)
    )
    assert (told(beliefs), beliefs.forgotten) == ([("declare", f"q{n}") for n in range(5, 9)], 5)
    noted(*(binding("q", str(n), "unbind") for n in range(5)), beliefs=beliefs)
    assert (len(beliefs.words()), beliefs.forgotten) == (6, 8)


def test_what_was_told_is_told_again_with_its_time(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(believed, "_beliefs", Beliefs())
    monkeypatch.setattr(believed, "ITEMS", 2)
    for name in ("told-a", "told-b", "told-c"):
        topology.report(BROKER, queue(name))
    first = [item for span in spans("strayline.topology") for item in items(span)]
    assert believed.tell_again() == 3
    again = [
        span
        for span in spans("strayline.census")
        if "strayline.topology" in (span.attributes or {})
    ]
    assert [item for span in again for item in items(span)] == first
    assert [len(items(span)) for span in again] == [2, 1]
    for span in again:
        attributes = span.attributes or {}
        assert "strayline.census" not in attributes  # by which older collectors know a census
        assert (attributes["strayline.broker"], attributes["strayline.vhost"]) == (
            "rabbit@shop",
            "/",
        )
        assert json.loads(str(attributes["strayline.topology"]))["again"] is True


def items(span: Any) -> list[dict[str, Any]]:
    return json.loads(span.attributes["strayline.topology"])["items"]


def test_a_collector_that_is_back_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the interval."""
    returned: list[bool] = []
    sender = HttpSender(Settings.read(), dict, on_return=lambda: returned.append(True))
    answers = iter([200, 503, None, 200, 200])
    away: list[bool] = []

    def post(*_: Any) -> tuple[int | None, float | None]:
        away.append(sender.away)
        sender._hurry.set()  # no pause
        return next(answers), None

    monkeypatch.setattr(sender, "_post", post)
    assert sender._deliver(b"")
    assert returned == []
    assert sender._deliver(b"")
    assert returned == [True]
    assert sender._deliver(b"")
    assert (returned, away) == ([True], [False, False, True, True, False])
    sender.shutdown()


def test_the_census_thread_tells_again_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:

    told_again = threading.Event()
    monkeypatch.setattr(census, "tell_again", told_again.set)
    monkeypatch.setattr(census, "SOON_S", 0.01)
    monkeypatch.setattr(census, "open_channels", lambda: [object()])
    monkeypatch.setattr(census, "tell", lambda: None)
    census.stop()
    census.start()
    try:
        census.tell_again_soon()
        assert told_again.wait(60)
    finally:
        census.stop()
