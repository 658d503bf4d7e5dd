"""Live scenarios on a real broker: what is found is exactly what the programs' own logs say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from demo_services.broker import Broker
from tests.scenarios.hops import unseen
from tests.scenarios.log import Expected, Truth, nothing, read
from tests.scenarios.routing import CONTRACT
from tests.scenarios.scenarios import SCENARIOS
from tests.support.collector import RunningCollector, running_collector
from tests.support.programs import environment
from tests.support.verdicts import ALLOWED, marked

pytestmark = pytest.mark.broker
CONTEXT = ("overtaker", "original")
PLAYS = [
    (scenario, twin) for scenario in SCENARIOS for twin in (False, True)
    if twin or scenario.faulty is not None
]  # fmt: skip
NAMED = [f"{scenario.name}{' (healthy)' * twin}" for scenario, twin in PLAYS]


Collectors = dict[tuple[str, ...], RunningCollector]
"""By the thresholds that they were started with."""


@pytest.fixture(scope="module")
def collectors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collectors]:
    contract = tmp_path_factory.mktemp("contract") / "shop.yaml"
    contract.write_text(CONTRACT)
    with ExitStack() as stack:
        yield {
            thresholds: stack.enter_context(
                running_collector(contracts=[str(contract)], thresholds=thresholds)
            )
            for thresholds in {scenario.thresholds for scenario in SCENARIOS}
        }


def played(
    collectors: Collectors, broker: Broker, folder: Path, names: list[str]
) -> dict[str, tuple[Truth, Truth]]:
    """Plays them all at once: name → what must be found, what was found."""
    login = f"{broker.user}:{broker.password}@"
    parts = urlsplit(broker.management)
    management = parts._replace(netloc=login + parts.netloc).geturl()
    wanted = {name: play for name, play in zip(NAMED, PLAYS, strict=True) if name in names}
    with ExitStack() as stack:
        urls = {name: stack.enter_context(broker.vhost()) for name in wanted}
        worlds = [
            _world(collector, thresholds, folder, [
                {"name": scenario.name, "twin": twin, "url": urls[name], "log": str(folder / f"{name}.log"), "management": management}
                for name, (scenario, twin) in wanted.items() if scenario.thresholds == thresholds
            ])
            for thresholds, collector in collectors.items()
        ]  # fmt: skip
        for world in worlds:
            told = world.communicate(timeout=170)[0]
            assert world.returncode == 0, told[-3000:]
    found: dict[str, Truth] = defaultdict(dict)
    for collector in collectors.values():
        collector.settle()
        for finding in collector.findings():
            vhost = finding["subject"]["vhost"]
            for expected, messages in _as_truth(finding).items():
                before = found[vhost].get(expected, frozenset())
                found[vhost][expected] = before | messages
    results: dict[str, tuple[Truth, Truth]] = {}
    for name, (scenario, twin) in wanted.items():
        facts = read(
            p
            for p in (folder / f"{name}.{part}" for part in ("log", "holder", "taker"))
            if p.exists()
        )
        truth = (nothing if twin and scenario.faulty else scenario.truth)(facts)
        vhost = unquote(urlsplit(urls[name]).path[1:])
        error = folder / f"{name}.error"
        if error.exists():
            found[vhost][Expected("failed", error.read_text()[-2000:], "", "", "")] = frozenset()
        results[name] = ({k: v for k, v in truth.items() if v}, found.pop(vhost, {}))
    return results


def _world(
    collector: RunningCollector,
    thresholds: tuple[str, ...],
    folder: Path,
    plans: list[dict[str, Any]],
) -> subprocess.Popen[str]:
    path = folder / f"plans {' '.join(thresholds)}"
    path.write_text(json.dumps(plans))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.scenarios.world", str(path)],
        env=environment(
            f"http://{collector.otlp_http}", OTEL_SERVICE_NAME="world", OTEL_BSP_SCHEDULE_DELAY="200"
        ),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def _as_truth(finding: dict[str, Any]) -> Truth:
    subject = finding["subject"]
    place = subject["queue"] or f"{subject['exchange'] or ''}/{subject['routing_key']}"
    expected = Expected(
        finding["kind"], finding["verdict"] or "", finding["cause"] or "", finding["severity"], place
    )  # fmt: skip
    if finding["kind"] == "uninstrumented":
        return {expected: unseen(finding["count"])}
    return {
        expected: frozenset(
            m["message_id"] for m in finding["messages"] if m["role"] not in CONTEXT
        )
    }


@pytest.fixture(scope="module")
def outcome(
    collectors: Collectors, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Truth, Truth]]:
    return played(collectors, broker, tmp_path_factory.mktemp("scenarios"), NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_exactly_what_the_programs_log_says_is_found(
    outcome: dict[str, tuple[Truth, Truth]], name: str
) -> None:
    truth, found = outcome[name]
    assert found == truth
    if "healthy" not in name:
        assert truth, "the scenario did not do what it is for"


def test_every_verdict_with_its_causes_is_shown(
    outcome: dict[str, tuple[Truth, Truth]],
) -> None:
    """Live above, or by a history that somebody wrote and marked so."""
    live = {
        (e.kind, e.verdict, e.cause, e.severity)
        for truth, found in outcome.values()
        for e in truth
        if found.get(e) == truth[e]
    }
    assert live <= ALLOWED
    assert ALLOWED - live - set(marked()) == set()


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(20))
def test_twenty_rounds_find_the_same(
    collectors: Collectors, broker: Broker, tmp_path: Path, number: int
) -> None:
    results = played(collectors, broker, tmp_path, NAMED)
    assert {n: found for n, (_, found) in results.items()} == {
        n: t for n, (t, _) in results.items()
    }
    assert all(truth for name, (truth, _) in results.items() if "healthy" not in name)
