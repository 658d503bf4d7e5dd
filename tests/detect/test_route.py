"""The routing oracle, rule by rule. Against a real broker: ``test_route_broker.py``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strayline_collector.detect.route import (
    UNRECORDED,
    Binding,
    Exchange,
    Message,
    Policy,
    Queue,
    Topology,
    dead_letter,
    policy_of,
    route,
    topic_matches,
    topic_words,
)


def topology(
    *bindings: Binding, exchanges: tuple[Exchange, ...] = (), queues: tuple[str, ...] = ()
) -> Topology:
    return Topology.of(exchanges, queues, bindings)


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("a.*.c", "a.b.c", True), ("a.*.c", "a.c", False), ("#", "", True), ("#", "a.b", True), ("a.#", "a", True),
        ("a.#.b", "a.b", True), ("a.#.b", "a.x.y.b", True), ("*", "", False), ("*.#", "", False), ("#.#", "a", True), ("*", "a.b", False),
        ("", "", True), ("", "a", False), ("*", ".", False), ("*.*", ".", True), ("a.*", "a.", True), ("a", "*", False), ("#", ".", True),
    ],
)  # fmt: skip
def test_topic_rules(pattern: str, key: str, expected: bool) -> None:
    assert topic_matches(topic_words(pattern), topic_words(key)) is expected


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), max_size=6),
    st.lists(st.sampled_from(["a", "b"]), max_size=6),
)
def test_topic_matching_is_the_regular_expression_it_stands_for(
    pattern: list[str], words: list[str]
) -> None:
    def matches(p: list[str], w: list[str]) -> bool:
        if not p:
            return not w
        if p[0] == "#":
            return matches(p[1:], w) or bool(w and matches(p, w[1:]))
        return bool(w) and p[0] in ("*", w[0]) and matches(p[1:], w[1:])

    assert topic_matches(pattern, words) is matches(pattern, words)


def test_the_default_exchange_reaches_only_queues_that_exist() -> None:
    assert route(topology(queues=("q",)), "", "q").queues == {"q"}
    assert route(topology(queues=("q",)), "", "p").queues == frozenset()


def test_exchange_to_exchange_and_alternate_exchanges_are_followed_and_circles_end() -> None:
    known = topology(
        Binding("a", "b", "exchange", "k"),
        Binding("b", "a", "exchange", "k"),
        Binding("b", "q", "queue", "k"),
        Binding("alt", "rest", "queue", ""),
        exchanges=(
            Exchange("a", "direct", alternate="alt"),
            Exchange("b", "direct"),
            Exchange("alt", "fanout"),
        ),
    )
    assert route(known, "a", "k").queues == {"q"}
    other = route(known, "a", "other")
    assert (other.queues, other.alternate) == ({"rest"}, True)


@pytest.mark.parametrize(
    ("mode", "headers", "expected"),
    [
        ("all", {"n": 1, "s": "x"}, True), ("all", {"n": 1}, False), ("all", {"n": True, "s": "x"}, False),
        ("any", {"n": 1}, True), ("any", {"n": "1"}, False), ("any", {}, False),
    ],
)  # fmt: skip
def test_headers_are_matched_by_type_and_value(
    mode: str, headers: dict[str, object], expected: bool
) -> None:
    wanted = {"x-match": mode, "n": 1, "s": "x"}
    known = topology(Binding("h", "q", "queue", "", wanted), exchanges=(Exchange("h", "headers"),))
    assert (route(known, "h", "", headers).queues == {"q"}) is expected


def test_what_was_not_recorded_is_unknown_and_never_a_guess() -> None:
    known = topology(
        Binding("h", "q", "queue", "", {"n": 1}), exchanges=(Exchange("h", "headers"),)
    )
    assert route(known, "h", "", None).unknown is not None
    assert route(topology(), "never.declared", "k").unknown is not None


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        (1, 1.0, True), (1, True, False), ("1", 1, False), (None, "anything", True), (None, None, True), ("a", None, False),
        ([1], [1], True), ("a", bytearray(b"a"), True),
        (None, UNRECORDED, True), ("a", UNRECORDED, False), ([1], UNRECORDED, None),
    ],
)  # fmt: skip
def test_header_values_are_compared_as_the_broker_does(
    wanted: object, given: object, expected: bool | None
) -> None:
    known = topology(
        Binding("h", "q", "queue", "", {"n": wanted}), exchanges=(Exchange("h", "headers"),)
    )
    answer = route(known, "h", "", {"n": given})
    assert (None if answer.unknown else answer.queues == {"q"}) is expected


def test_copies_count_as_keys_and_a_blind_one_is_hidden_from_headers_exchanges() -> None:
    known = topology(
        Binding("d", "q1", "queue", "one"),
        Binding("d", "q2", "queue", "two"),
        Binding("h", "cc", "queue", "", {"CC": None}),
        Binding("h", "bcc", "queue", "", {"BCC": None}),
        exchanges=(Exchange("d", "direct"), Exchange("h", "headers")),
    )
    assert route(known, "d", "", {"CC": ["one"], "BCC": ["two", 3]}).queues == {"q1", "q2"}
    assert route(known, "h", "", {"CC": ["one"], "BCC": ["two"]}).queues == {"cc"}


def test_an_exchange_that_led_to_a_dead_end_is_matched_and_its_alternate_stays_idle() -> None:
    known = topology(
        Binding("a", "b", "exchange", "k"),
        Binding("alt", "rest", "queue", ""),
        exchanges=(
            Exchange("a", "direct", arguments={"alternate-exchange": "alt"}),
            Exchange("b", "direct"),
            Exchange("alt", "fanout"),
        ),
    )
    assert route(known, "a", "k").queues == frozenset()
    assert route(known, "a", "other").alternate


def test_one_of_names_what_may_come_of_it_and_what_comes_in_any_case() -> None:
    known = topology(
        Binding("in", "all", "queue", ""),
        Binding("in", "chance", "exchange", ""),
        Binding("chance", "q1", "queue", "1"),
        Binding("chance", "q2", "queue", "1"),
        exchanges=(Exchange("in", "fanout"), Exchange("chance", "x-consistent-hash")),
    )
    answer = route(known, "in", "")
    assert answer.outcomes == {frozenset({"all", "q1"}), frozenset({"all", "q2"})}
    assert (answer.one_of, answer.certain) == (True, {"all"})


def test_what_a_complete_topology_lacks_does_not_exist() -> None:
    whole = Topology.of([Exchange("in", "direct", internal=True)], [], [], complete=True)
    assert route(whole, "no.such", "k").refused is not None
    assert route(whole, "in", "k").refused is not None
    assert route(whole, "", "no.such").unknown is None
    assert route(whole, "", "amq.rabbitmq.reply-to.abc").reply


@pytest.mark.parametrize("kind", ["x-jms-topic", "x-event", None])
def test_a_type_nobody_knows_the_rule_of_is_unknown(kind: str | None) -> None:
    known = topology(Binding("x", "q", "queue", "k"), exchanges=(Exchange("x", kind),))
    assert route(known, "x", "k").unknown is not None


def test_a_delayed_exchange_routes_as_the_type_that_it_carries() -> None:
    arguments = {"x-delayed-type": "direct"}
    known = topology(
        Binding("later", "q", "queue", "k"),
        exchanges=(Exchange("later", "x-delayed-message", arguments=arguments),),
    )
    answer = route(known, "later", "k")
    assert (answer.queues, answer.delayed, answer.unknown) == ({"q"}, True, None)


def test_the_queues_argument_goes_before_the_policy_each_setting_by_itself() -> None:
    policy = Policy(
        "p", "^work", "queues", 0, {"dead-letter-exchange": "", "dead-letter-routing-key": "grave"}
    )
    known = Topology.of(
        [Exchange("dlx", "direct")],
        [Queue("work", arguments={"x-dead-letter-exchange": "dlx"}), Queue("worker"), "grave"],
        [Binding("dlx", "grave", "queue", "grave")],
        [policy],
    )
    for queue in ("work", "worker"):
        after = dead_letter(known, queue, "rejected", Message.of("", queue, {"CC": ["other"]}))
        assert after is not None
        assert after.route.queues == {"grave"}
        assert after.message.keys == ("grave",)
        assert "CC" not in (after.message.headers or {})
    assert dead_letter(known, "grave", "rejected", Message.of("", "grave")) is None


def test_without_a_key_of_the_queues_own_every_key_of_the_message_stays() -> None:
    known = Topology.of(
        [],
        [Queue("a", dead_letter_exchange=""), "b", "c"],
        [],
    )
    after = dead_letter(known, "a", "maxlen", Message.of("", "a", {"CC": ["b"], "BCC": ["c"]}))
    assert after is not None
    assert after.route.queues == {"b", "c"}  # and not `a`, where it has just died by itself


def test_a_circle_ends_where_nothing_in_it_was_rejected() -> None:
    known = Topology.of([], [Queue("retry", dead_letter_exchange="", dead_letter_routing_key="work"),
                             Queue("work", dead_letter_exchange="", dead_letter_routing_key="retry")], [])  # fmt: skip
    rejected = dead_letter(known, "work", "rejected", Message.of("", "work"))
    assert rejected is not None
    assert rejected.route.queues == {"retry"}
    back = dead_letter(known, "retry", "expired", rejected.message)
    assert back is not None
    assert back.route.queues == {"work"}
    alone = dead_letter(known, "work", "expired", Message.of("", "work"))
    assert alone is not None
    again = dead_letter(known, "retry", "expired", alone.message)
    assert again is not None
    assert again.route.queues == frozenset()


def test_policies_that_tie_or_that_a_type_of_queue_does_not_know() -> None:
    low = Policy("low", "^q", "all", 0, {"dead-letter-exchange": "x"})
    tie = Policy("tie", "q$", "queues", 0, {"dead-letter-exchange": "y"})
    high = Policy("high", "q", "quorum_queues", 9, {"delivery-limit": 3})
    assert policy_of([low, high], "queue", "q", "classic") is low
    assert policy_of([low, high], "queue", "q", "quorum") is high
    assert policy_of([low], "queue", "q", "stream") is None
    assert policy_of([low, tie], "exchange", "q", "") is low
    assert isinstance(policy_of([low, tie], "queue", "q", "classic"), str)
    known = Topology.of([], ["q"], [], [low, tie])
    after = dead_letter(known, "q", "expired", Message.of("", "q"))
    assert after is not None
    assert after.route.unknown is not None
