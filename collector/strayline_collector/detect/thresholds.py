"""The numbers in the verdicts' definitions that a user may set: one obvious place to add one.

A detector's SQL reads them from the registered one-row table ``thresholds``, a column each:
``FROM … CROSS JOIN thresholds t WHERE k.units >= t.outlier_share * n.units``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from math import isfinite
from typing import Any, Final

import pyarrow as pa

from strayline_collector.errors import UsageError


def _number(default: float, least: float, most: float, means: str) -> Any:
    return field(default=default, metadata={"least": least, "most": most, "means": means})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Units are in the names' ends; shares lie between 0 and 1. Whole numbers are whole."""

    outlier_kind_size: int = _number(
        30, 2, 1_000_000, "operations or messages before a kind has a habit"
    )
    outlier_share: float = _number(
        0.9, 0.5, 1, "of a kind's operations that publish its usual exchange and key, at least"
    )
    outlier_rare_share: float = _number(
        0.1, 0, 0.5, "of a kind's operations that publish the odd exchange and key, at most"
    )
    outlier_foreign_share: float = _number(
        0.9, 0, 1, "of the odd exchange and key's messages that other kinds send, at least"
    )
    silent_key_publishes: int = _number(
        30, 1, 1_000_000, "publishes of a key that all went nowhere before that is its habit"
    )
    refused_tries: int = _number(
        2, 1, 1_000_000, "failures with an exchange and key before a consumer refuses it"
    )
    loop_tries: int = _number(5, 2, 1_000_000, "failed handlings of one message before it loops")
    loop_rate_per_s: float = _number(
        1, 0.001, 1_000_000, "failed handlings a second that make a loop an error, at least"
    )
    loop_rate_window_s: float = _number(10, 0.1, 86_400, "seconds over which that rate must hold")
    stalled_after_s: float = _number(
        300, 1, 604_800, "seconds without a delivery before a queue with messages stalls, at least"
    )
    stalled_gap_factor: float = _number(
        3, 1, 1000, "times its longest earlier gap before a queue stalls, at least"
    )
    unseen_share: float = _number(
        0.8, 0, 1, "of a queue's messages seen for the unseen ones to be a warning, at least"
    )
    uninstrumented_messages: int = _number(
        20, 1, 1_000_000, "expected and never seen before a hop is called uninstrumented"
    )
    population_h: float = _number(
        24, 0.01, 8760, "hours of event time that what is usual is judged by"
    )

    def table(self) -> pa.Table:
        """One row, a column each."""
        return pa.table({f.name: [getattr(self, f.name)] for f in fields(self)})

    def told(self) -> str:
        """What differs from the defaults, as ``NAME=VALUE``, ordered; empty where nothing does."""
        return " ".join(
            f"{f.name}={getattr(self, f.name):g}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        )


DEFAULTS: Final = Thresholds()


def parse_thresholds(told: Iterable[str]) -> Thresholds:
    """``NAME=VALUE`` each; of one name told twice the last holds. Raises ``UsageError`` naming the
    threshold and what it may be."""
    known = {f.name: f for f in fields(Thresholds)}
    found: dict[str, float] = {}
    for text in told:
        name, equals, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise UsageError(f"--threshold {name}: no such threshold; one of {', '.join(known)}")
        if not equals:
            raise UsageError(f"--threshold {name}: expected NAME=VALUE, as {_example(known[name])}")
        found[name] = _value(known[name], value)
    return Thresholds(**found)  # type: ignore[arg-type]  # whole where it must be


def _value(threshold: Field[Any], text: str) -> float:
    least, most = threshold.metadata["least"], threshold.metadata["most"]
    whole = isinstance(threshold.default, int) and threshold.type == "int"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = None
    if value is None or not isfinite(value) or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        raise UsageError(
            f"--threshold {threshold.name}={text}: expected {kind} from {least:g} to {most:,}: "
            f"{threshold.metadata['means']}"
        )
    return value


def _example(threshold: Field[Any]) -> str:
    return f"{threshold.name}={threshold.default:g}"
