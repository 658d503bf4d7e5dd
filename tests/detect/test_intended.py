"""Whose bindings are meant, and when: rolling deploys, restarts, unbinds, unknown paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strayline_collector.detect.intended import strays
from tests.support.rounds import rounds

PLACE = {"environment": None, "broker": "b", "vhost": "/"}


def candidate(key: str, at: int) -> dict[str, Any]:
    return {
        **PLACE,
        "key": "q",
        "queue": "q",
        "exchange": "x",
        "routing_key": key,
        "routing_headers": None,
        "first_ns": at,
        "last_ns": at,
    }


def said(action: str, kind: str, epoch: str, at: int, heard: int, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        (
            "name",
            "type",
            "durable",
            "arguments",
            "source_name",
            "destination",
            "destination_kind",
            "routing_key",
            "document",
        )
    )
    return {**PLACE, **empty, "source": "shim", "role": "intended", "complete": False, "service": "owner", "instance": epoch, "epoch": epoch,
            "action": action, "kind": kind, "seen_ns": at, "until_ns": heard, **more}  # fmt: skip


def release(
    epoch: str,
    at: int,
    heard: int,
    *keys: str,
    exchange: str = "x",
    type_: str | None = "topic",
    service: str = "owner",
) -> list[dict[str, Any]]:
    """One process that declares exchange, queue and bindings at ``at`` and was last heard at ``heard``."""
    return [
        said("declare", "exchange", epoch, at, heard, name=exchange, type=type_, service=service),
        said("declare", "queue", epoch, at, heard, name="q", service=service),
        *(bind(epoch, at + 1, heard, key, exchange=exchange, service=service) for key in keys),
    ]


def bind(
    epoch: str,
    at: int,
    heard: int,
    key: str,
    *,
    exchange: str = "x",
    action: str = "bind",
    service: str = "owner",
) -> dict[str, Any]:
    return said(
        action,
        "binding",
        epoch,
        at,
        heard,
        source_name=exchange,
        destination="q",
        destination_kind="queue",
        routing_key=key,
        service=service,
    )


OLD = release("e1", 10, 100, "a", "b")
NEW = release("e2", 200, 300, "a")


@pytest.mark.parametrize(
    ("case", "stray"),
    [
        ((candidate("b", 250), [*OLD, *NEW]), True),
        ((candidate("a", 250), [*OLD, *NEW]), False),
        ((candidate("b", 50), [*OLD, *NEW]), False),
        ((candidate("b", 150), [*OLD, *NEW]), False),
        ((candidate("b", 250), [*release("e1", 10, 260, "a", "b"), *NEW]), False),
        ((candidate("b", 280), [*release("e1", 10, 260, "a", "b"), *NEW]), True),
        ((candidate("b", 250), [*OLD, *NEW, bind("e2", 240, 300, "b")]), False),
        ((candidate("b", 90), [*OLD, bind("e1", 80, 100, "b", action="unbind")]), True),
        ((candidate("b", 70), [*OLD, bind("e1", 80, 100, "b", action="unbind")]), False),
        ((candidate("b", 250), [*NEW, *release("s1", 5, 6, "b", service="setup")]), False),
        ((candidate("b", 90), [*OLD, said("delete", "queue", "e1", 70, 100, name="q"), bind("e1", 80, 100, "a")]), True),
        ((candidate("a", 90), [*OLD, said("delete", "queue", "e1", 70, 100, name="q"), bind("e1", 80, 100, "a")]), False),
        ((candidate("b", 5), [*OLD]), False),
        ((candidate("b", 250), release("e2", 200, 300)), False),
        ((candidate("b", 250), release("e2", 200, 300, "a", type_=None)), False),
        ((candidate("b", 250), [*NEW, *release("e2", 200, 300, "b", exchange="y")]), False),
        ((candidate("b", 250), [*NEW, *release("e2", 200, 300, "c", exchange="y")]), True),
        ((candidate("b", 250), release("e2", 200, 300, "a", type_="headers")), False),
    ],
    ids=[
        "left by the older release", "declared by the newer", "published while the older was in force", "between the two, the older still counts",
        "rolling: the older is still heard", "rolling: the older has gone", "bound late, but by a process in force", "after its unbind",
        "before its unbind", "declared by a job that ran once", "its queue was deleted since", "bound again after its queue was deleted", "before anybody declared", "the queue's bindings are not known",
        "the exchange's type is not known", "another exchange's binding may lead here", "another exchange's binding does not match", "headers were not recorded",
    ],
)  # fmt: skip
def test_whose_word_counts(case: tuple[dict[str, Any], list[dict[str, Any]]], stray: bool) -> None:
    found = strays([case[0]], case[1])
    assert bool(found) is stray
    if stray:
        assert found[0]["severity"] == "warning"
        assert (found[0]["from_ns"], found[0]["to_ns"]) == (case[0]["first_ns"], case[0]["last_ns"])


def test_only_the_stretch_in_which_it_is_stray_is_named() -> None:
    asked = {**candidate("b", 0), "first_ns": 50, "last_ns": 400}
    (found,) = strays([asked], [*OLD, *NEW])
    assert (found["from_ns"], found["to_ns"]) == (200, 400)
    assert found["intended_bindings"] == ["x — a"]


def test_another_broker_says_nothing_here_but_a_document_without_one_speaks_for_all() -> None:
    elsewhere = [{**row, "broker": "other"} for row in NEW]
    assert strays([candidate("b", 250)], elsewhere) == []
    reference = [
        {**row, "broker": None, "source": "document", "complete": True, "until_ns": None}
        for row in NEW
    ]
    (found,) = strays([candidate("b", 250)], reference)
    assert found["severity"] == "error"


def test_a_binding_between_exchanges_that_a_complete_reference_lacks_is_not_meant() -> None:
    """Somebody bound ``x`` to ``y``, whose binding to the queue fits."""
    told = [*release("e2", 200, 300, "b", exchange="y"), said("declare", "exchange", "e2", 200, 300, name="x", type="topic")]  # fmt: skip
    assert strays([candidate("b", 250)], told) == []
    reference = [{**row, "source": "document", "complete": True, "until_ns": None} for row in told]
    assert [row["severity"] for row in strays([candidate("b", 250)], reference)] == ["error"]
    meant = {**bind("e2", 200, 300, "b"), "destination": "y", "destination_kind": "exchange"}
    reference.append({**meant, "source": "document", "complete": True, "until_ns": None})
    assert strays([candidate("b", 250)], reference) == []


def test_an_unbind_ends_the_binding_with_its_arguments_alone() -> None:
    """A headers exchange has several by one key."""
    first, second = ({"x-match": "all", "kind": kind} for kind in ("a", "b"))

    def headed(at: int, headers: dict[str, str], action: str = "bind") -> dict[str, Any]:
        return {**bind("e1", at, 100, "", action=action), "arguments": json.dumps(headers)}

    told = [
        *release("e1", 10, 100, type_="headers"),
        headed(20, first),
        headed(30, second),
        headed(40, first, "unbind"),
    ]
    for headers, stray in ((first, True), (second, False)):
        asked = {**candidate("", 50), "routing_headers": json.dumps(headers)}
        assert bool(strays([asked], told)) is stray


Process = tuple[str, int, int, frozenset[str], dict[str, int]]
"""Service, its first word and its last, the keys that it bound, and those that it unbound with when."""


@st.composite
def processes(draw: st.DrawFn) -> list[Process]:
    """No two words come at one time."""
    found: list[Process] = []
    for number in range(draw(st.integers(1, 4))):
        first = 100 * draw(st.integers(1, 5)) + 10 * number
        heard = first + 10 + 100 * draw(st.integers(0, 5))
        keys = draw(st.frozensets(st.sampled_from("abc"), max_size=2))
        key, at = draw(st.sampled_from("abc-")), first + 5 + 100 * draw(st.integers(0, 5))
        gone = {key: at} if key != "-" and at <= heard else {}
        found.append((draw(st.sampled_from(("one", "other"))), first, heard, keys, gone))
    return found


def meant_at(at: int, told: list[Process]) -> set[str]:
    """The keys by which the queue is meant to be bound at that time, as the definition says it: by each service's newest
    process, and by every older one that is still heard; what was unbound and not bound again is not."""
    found: set[str] = set()
    for service, first, heard, keys, _ in told:
        newer = min((p[1] for p in told if p[0] == service and p[1] > first), default=None)
        if first <= at and (newer is None or at < newer or at <= heard):
            found |= keys
    for key in "abc":
        unbound = max((gone[key] for *_, gone in told if key in gone), default=0)
        bound = max((first + 1 for _, first, _, keys, _ in told if key in keys), default=0)
        if bound < unbound < at:
            found.discard(key)
    return found


@settings(max_examples=rounds(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    processes(), st.integers(1, 1100), st.sampled_from("abcd"), st.randoms(use_true_random=False)
)
def test_what_is_stale_agrees_with_the_definition_in_whatever_order_facts_come(
    told: list[Process], at: int, key: str, chance: Any
) -> None:
    rows: list[dict[str, Any]] = []
    for number, (service, first, heard, keys, gone) in enumerate(told):
        rows += release(f"e{number}", first, heard, *keys, service=service)
        rows += [bind(f"e{number}", when, heard, k, action="unbind", service=service) for k, when in gone.items()]  # fmt: skip
    chance.shuffle(rows)
    meant = meant_at(at, told)
    assert bool(strays([candidate(key, at)], rows)) is (bool(meant) and key not in meant)
