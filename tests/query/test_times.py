"""Times in the query: every notation of RFC 3339, to the nanosecond."""

from __future__ import annotations

import pytest

from strayline_collector.errors import BadInput
from strayline_collector.query.times import END, parse_time, rfc3339

NOON = 1_769_860_800_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T13:00:00 01:00", NOON),  # a plus that an URL made a space
        ("2026-01-31T12:00:00.123456789Z", NOON + 123_456_789),
        ("2026-01-31T11:30:00.5-00:30", NOON + 500_000_000),
        ("2026-01-31T12:00:00.1234567899Z", NOON + 123_456_789),
        ("20260131T120000.25Z", NOON + 250_000_000),
        ("2026-01-31", NOON - 12 * 3600 * 10**9),
        (str(NOON + 7), NOON + 7),
        ("1969-12-31T23:59:59.9Z", 0),
        ("9999-12-31T23:59:59Z", END),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert parse_time(text, "start") == ns


def test_what_an_answer_says_can_be_asked() -> None:
    """Cut to microseconds, a finding's last message would lie behind its own ``last_seen``."""
    assert parse_time(rfc3339(NOON + 702_588_133), "end") == NOON + 702_588_133


@pytest.mark.parametrize("text", ["", "now", "-15m", "2026-13-01", "2026-01-31T25:00:00Z"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(BadInput, match=f"start={text}: expected RFC 3339"):
        parse_time(text, "start")
