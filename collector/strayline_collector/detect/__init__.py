"""The detectors, in the order in which they run. Add one here."""

from __future__ import annotations

from typing import Final

from strayline_collector.contract.model import Contract
from strayline_collector.detect.contract import contract_detector
from strayline_collector.detect.dead_ends import register_dead_ends
from strayline_collector.detect.detector import Detector
from strayline_collector.detect.expected import register_expected, register_pauses, register_ways
from strayline_collector.detect.intended import register_strays
from strayline_collector.detect.nowhere import named_by, register_nowhere
from strayline_collector.detect.order import OrderMemory
from strayline_collector.detect.peers import register_peers
from strayline_collector.detect.promises import promised
from strayline_collector.detect.retries import register_retries
from strayline_collector.store.duckdb.queries import load

DETECTORS: Final = (
    Detector(
        "reordered",
        memory=OrderMemory,
    ),
    Detector(
        "reordered_inferred",
        touched=load("detect/reordered_inferred_touched"),
        judge=load("detect/reordered_inferred"),
    ),
    Detector(
        "stale_binding",
        touched=load("detect/stale_binding_touched"),
        judge=load("detect/stale_binding"),
        prepare=register_strays,
    ),
    Detector(
        "outlier",
        touched=load("detect/population_touched"),
        judge=load("detect/outlier"),
        population=True,
        only_with=frozenset({"several"}),
    ),
    Detector(
        "unroutable",
        touched=load("detect/unroutable_touched"),
        judge=load("detect/unroutable"),
        prepare=register_nowhere,
        population=True,
        only_with=frozenset({"returned", "documents"}),
    ),
    Detector(
        "refused",
        touched=load("detect/population_touched"),
        judge=load("detect/refused"),
        population=True,
        only_with=frozenset({"refused"}),
    ),
    Detector(
        "duplicated",
        touched=load("detect/duplicated_touched"),
        judge=load("detect/duplicated"),
        near=load("detect/duplicated_near"),
    ),
    Detector(
        "duplicated_retry",
        touched=load("detect/population_touched"),
        judge=load("detect/duplicated_retry"),
        prepare=register_retries,
        population=True,
        only_with=frozenset({"doubtful", "spoken"}),
    ),
    Detector(
        "redelivery_loop",
        touched=load("detect/duplicated_touched"),
        judge=load("detect/redelivery_loop"),
        near=load("detect/duplicated_near"),
    ),
    Detector(
        "redelivery_loop_unnamed",
        touched=load("detect/population_touched"),
        judge=load("detect/redelivery_loop_unnamed"),
        population=True,
        only_with=frozenset({"unnamed"}),
    ),
    Detector(
        "dead_lettered",
        touched=load("detect/unroutable_touched"),
        judge=load("detect/dead_lettered"),
        prepare=register_dead_ends,
        population=True,
        only_with=frozenset({"dead"}),
    ),
    Detector(
        "lost",
        touched=load("detect/lost_touched"),
        judge=load("detect/lost"),
        prepare=register_expected,
        population=True,
        clocked=True,
    ),
    Detector(
        "context_lost",
        touched=load("detect/context_lost_touched"),
        judge=load("detect/context_lost"),
    ),
    Detector(
        "context_lost_inferred",
        touched=load("detect/population_touched"),
        judge=load("detect/context_lost_inferred"),
        population=True,
        only_with=frozenset({"orphaned"}),
    ),
    Detector(
        "uninstrumented",
        touched=load("detect/unroutable_touched"),
        judge=load("detect/uninstrumented"),
        prepare=register_ways,
        population=True,
    ),
    Detector(
        "uninstrumented_calls",
        touched=load("detect/calls_touched"),
        judge=load("detect/uninstrumented_calls"),
        prepare=register_peers,
        population=True,
        pause_s=60.0,
    ),
    Detector(
        "stalled",
        touched=load("detect/stalled_touched"),
        judge=load("detect/stalled"),
        prepare=register_pauses,
        population=True,
        clocked=True,
    ),
)
"""Every detector that needs no contract. Each stands alone: one that fails leaves its keys unknown,
the others run."""


def detectors(contract: Contract) -> tuple[Detector, ...]:
    """Every detector. The one by contract is there without a contract too: it withdraws what it said
    by an earlier one."""
    weighing = (named_by(promised(d, contract), contract) for d in DETECTORS)
    return (*weighing, contract_detector(contract))
