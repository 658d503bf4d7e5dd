"""What was said of a place, of many places."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strayline_collector.detect.intended import by_place
from tests.support.rounds import rounds

NAMES = st.sampled_from([None, "a", "b"])
PLACES = st.tuples(NAMES, NAMES, NAMES)
ROWS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["shim", "document", "management"]),
        "environment": NAMES,
        "broker": NAMES,
        "vhost": NAMES,
    }
)


@settings(max_examples=rounds(50))
@given(st.lists(ROWS, max_size=12), PLACES)
def test_what_was_said_of_a_place_is_found_as_by_looking_at_all(
    said: list[dict[str, Any]], place: tuple[str | None, str | None, str | None]
) -> None:
    def fits(row: dict[str, Any]) -> bool:
        pairs = [(row[n], v) for n, v in zip(("environment", "broker", "vhost"), place, strict=True)]  # fmt: skip
        free = row["source"] != "shim"
        return all(a == b or (free and (a is None or b is None)) for a, b in pairs)

    said = [{**row, "at": at} for at, row in enumerate(said)]
    assert by_place(said)(place) == [row for row in said if fits(row)]
