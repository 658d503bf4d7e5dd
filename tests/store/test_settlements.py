"""What became of a delivery is told by its own span, or later by another."""

from __future__ import annotations

import itertools

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.store.duckdb.store import DuckDBStore
from strayline_collector.store.ports import Position
from tests.support.spans import otlp_span
from tests.support.story import CONSUMER, Told, otlp

EPOCH = "0123456789abcdef"


def _span(number: int, kind: int, linked: int | None = None, **attributes: str | int) -> bytes:
    given: dict[str, str | int] = {"strayline__epoch": EPOCH, "strayline__queue": "work"}
    return otlp_span(number, kind, linked, **(given | attributes))


def _delivery(number: int, channel: int, tag: int) -> bytes:
    return _span(
        number, 5, strayline__channel=channel, messaging__operation__type="process",
        messaging__rabbitmq__message__delivery_tag=tag,
    )  # fmt: skip


def _settle(number: int, channel: int, tag: int, settlement: str, linked: int | None) -> bytes:
    return _span(
        number, 3, linked, strayline__channel=channel, messaging__operation__type="settle",
        messaging__rabbitmq__message__delivery_tag=tag, strayline__settlement=settlement,
        strayline__settled_unix_nano=number * 10,
    )  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_settlement_meets_the_delivery_that_it_links_or_names_by_its_tag(
    store: DuckDBStore, order: tuple[int, ...]
) -> None:
    told = [
        # one tag on two channels, and the tags that run together when read as text
        [_delivery(1, 1, 11), _delivery(2, 11, 1), _delivery(3, 1, 12)],
        [_settle(4, 1, 11, "ack", None), _settle(5, 11, 1, "reject_drop", None)],
        [_settle(6, 1, 12, "reject_requeue", 3)],
    ]
    for offset, step in enumerate(order, start=1):
        store.append(decode(told[step], 1), Position(1, offset), 1)
    with store.read() as session:
        found = session.rows(
            "SELECT channel, delivery_tag, settlement, settled FROM settlements ORDER BY settled"
        )
    assert [tuple(row.values()) for row in found] == [
        (1, 11, "ack", 40),
        (11, 1, "reject_drop", 50),
        (1, 12, "reject_requeue", 60),
    ]


def test_another_process_s_channel_and_tag_are_another_delivery(store: DuckDBStore) -> None:
    elsewhere = _span(
        2, 3, strayline__epoch="f" * 16, strayline__channel=1, messaging__operation__type="settle",
        messaging__rabbitmq__message__delivery_tag=1, strayline__settlement="ack",
    )  # fmt: skip
    store.append(decode([_delivery(1, 1, 1), elsewhere], 1), Position(1, 1), 1)
    with store.read() as session:
        assert session.rows("SELECT * FROM settlements") == []
        assert len(session.rows("SELECT * FROM deliveries")) == 1


def test_direct_replies_lead_no_load_back_to_the_first(store: DuckDBStore) -> None:
    """The broker numbers each of them 1; a load that reached back to the first would read everything."""
    reply: dict[str, str | int] = {
        "messaging.system": "rabbitmq", "messaging.destination.name": "amq.rabbitmq.reply-to",
        "messaging.operation.type": "process", "messaging.rabbitmq.message.delivery_tag": 1,
        "strayline.epoch": EPOCH, "strayline.channel": 1,
    }  # fmt: skip
    for number in range(1, 5):
        heard = Told(
            "hear", "shop", CONSUMER, number, number + 1, trace=f"t{number}", attributes=reply
        )
        store.append(decode([otlp([heard])], 1), Position(1, number), 1)
    with store.read() as session:
        found = session.rows("SELECT batch, about_since FROM loaded ORDER BY batch")
    assert [row["about_since"] for row in found] == [1, 2, 3, 4]
