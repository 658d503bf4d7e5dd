"""AsyncAPI documents: what is read, and what is refused with file, line and rule."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from strayline_collector.contract.address import matches_address
from strayline_collector.contract.asyncapi import read_contract
from strayline_collector.contract.model import Message
from strayline_collector.contract.source import MAX_BYTES, Fault
from tests.support.collector import collector_command

SHOP = Path(__file__).with_name("shop.yaml")
CREATED = Message("orderCreated", "order.created")
PAID = Message("orderPaid", None)
HEAD = "asyncapi: 3.0.0\ninfo: {title: t, version: '1'}\n"


def test_channels_messages_operations_and_what_is_asked_of_queues() -> None:
    (document,) = read_contract([SHOP]).documents
    created, paid = document.keys
    billing, shipping = document.queues
    assert (created.exchange, created.address, created.messages) == (
        "events",
        "order.created",
        {CREATED},
    )
    assert paid.messages == shipping.messages == {PAID}
    assert (billing.queue, billing.ordered, billing.exactly_once) == ("billing", "key", True)
    assert shipping.queue == "shipping"  # by its address
    place, bill = document.operations
    assert (place.action, place.channel, place.spans) == ("send", "created", {"POST /orders"})
    assert (bill.action, bill.messages) == ("receive", {CREATED})


def test_the_same_in_json_with_tabs_and_in_two_files_that_refer_to_each_other(
    tmp_path: Path,
) -> None:
    document = yaml.safe_load(SHOP.read_text())
    (tmp_path / "one.json").write_text(json.dumps(document, indent="\t"))
    components = document.pop("components")
    text = json.dumps(document).replace("#/components/", "./common/parts.yaml#/")
    (tmp_path / "two.yaml").write_text(text)
    (tmp_path / "common").mkdir()
    (tmp_path / "common/parts.yaml").write_text(yaml.safe_dump(components))
    plain, one, two = (
        read_contract([p]) for p in (SHOP, tmp_path / "one.json", tmp_path / "two.yaml")
    )
    for other in (one, two):
        assert other.keys[0][1] == plain.keys[0][1]
        assert other.documents[0].queues == plain.documents[0].queues
        assert other.documents[0].operations == plain.documents[0].operations


def test_several_are_merged_and_one_message_is_the_same_in_all(tmp_path: Path) -> None:
    other = tmp_path / "audit.yaml"
    other.write_text(
        HEAD
        + """x-strayline-service: audit
channels:
  audit:
    address: audit
    bindings: {amqp: {is: queue}}
    messages: {any name: {bindings: {amqp: {messageType: order.created}}}}
"""
    )
    both = read_contract([SHOP, other])
    assert both.expected_queues(CREATED) == ("audit", "billing")
    assert both.documents[1].binds(frozenset()) == "audit"
    assert both.documents[0].binds(frozenset({"orders"})) is None
    assert both.documents[0].binds(frozenset({"The shop"})) == "The shop"


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        ("a: [1\nb: 2", 2, "neither YAML nor JSON"),
        ("", 1, "is empty"),
        ("- 1", 1, "must be an object"),
        ("asyncapi: 2.6.0\ninfo: {title: t, version: '1'}", 1, "AsyncAPI 2.6.0; 3.0 is read"),
        ("asyncapi: 3.0.0\ninfo: {title: t}", 2, "'version' is a required property"),
        (HEAD + "chanels: {}", 3, "'chanels' is nothing that AsyncAPI 3.0 has here"),
        (HEAD + "channels:\n  a:\n    adress: x", 5, "'adress' is nothing"),
        (HEAD + "channels:\n  a:\n    address: 1", 5, "1 is not of type"),
        (HEAD + "channels:\n  a:\n    address: x\n    address: y", 6, "'address' stands here twice"),
        (HEAD + "channels:\n  a:\n    bindings:\n      amqp:\n        is: topic", 7, "'topic' is not one of"),
        (HEAD + "channels:\n  a:\n    bindings:\n      amqp: {is: routingKey}", 6, "needs exchange.name"),
        (HEAD + "channels:\n  a:\n    bindings:\n      amqp: {is: queue}", 6, "needs queue.name"),
        (HEAD + "channels:\n  a:\n    x-strayline-ordered: both", 5, "'both' is not one of"),
        (HEAD + "channels:\n  a:\n    $ref: '#/channels/b'", 5, "leads to nothing"),
        (HEAD + "channels:\n  a:\n    $ref: '#/channels/a'", 5, "leads to itself"),
        (HEAD + "channels:\n  a:\n    $ref: 'https://example.org/a.yaml'", 5, "never the network"),
        (HEAD + "channels:\n  a:\n    $ref: '../secret.yaml#/a'", 5, "leads out of"),
        (HEAD + "channels:\n  a:\n    $ref: 'none.yaml#/a'", 5, "cannot be read"),
        (HEAD + "operations:\n  a:\n    action: publish\n    channel: {$ref: '#/info'}", 5, "'publish' is not one of"),
        (HEAD + "operations:\n  a:\n    action: send\n    channel: {$ref: '#/info'}", 6, "channels"),
        (HEAD + "x: &x [*x]", 3, "leads to itself"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_line_and_rule(
    tmp_path: Path, text: str, line: int, rule: str
) -> None:
    file = tmp_path / "asyncapi.yaml"
    file.write_text(text)
    with pytest.raises(Fault) as caught:
        read_contract([file])
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fault_in_a_file_that_is_referred_to_names_that_file(tmp_path: Path) -> None:
    shutil.copy(SHOP, tmp_path / "shop.yaml")
    parts = tmp_path / "parts.yaml"
    parts.write_text("a:\n  bindings:\n    amqp:\n      messageTyp: x\n")
    main = tmp_path / "main.yaml"
    main.write_text(
        HEAD
        + "channels:\n  a:\n    address: q\n    bindings: {amqp: {is: queue}}\n    messages: {a: {$ref: 'parts.yaml#/a'}}"
    )
    with pytest.raises(Fault, match=r"parts\.yaml:4: .*'messageTyp'"):
        read_contract([main])


def test_what_is_too_much_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(Fault, match="MiB"):
        read_contract([large])
    laughs = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text(laughs)
    with pytest.raises(Fault, match="more than"):
        read_contract([bomb])
    with pytest.raises(Fault, match="cannot be read"):
        read_contract([tmp_path / "absent.yaml"])


@pytest.mark.parametrize(
    ("address", "key", "expected"),
    [
        ("order.created", "order.created", True), ("order.created", "orderXcreated", False),
        ("order.{id}.paid", "order.7.paid", True), ("order.{id}", "order.", False), ("order.{id}", "order.a.b", True),
        ("order.*", "order.created", True), ("order.*", "order.a.b", False), ("order.#", "order", True), ("#", "", True),
        ("#.paid", "paid", True), ("a.#.b", "a.x.y.b", True), ("a.#.b", "ab", False), ("a{x}#", "abc#", True),
    ],
)  # fmt: skip
def test_an_address_names_keys_literally_by_parameter_and_by_pattern(
    address: str, key: str, expected: bool
) -> None:
    assert matches_address(address, key) is expected


def test_a_collector_says_what_is_wrong_and_does_not_start(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(HEAD + "chanels: {}")
    with (
        pytest.raises(AssertionError, match=r"bad\.yaml:3: .*'chanels'"),
        collector_command(STRAYLINE_CONTRACT=f"{SHOP}:{bad}"),
    ):
        pass
