"""Every scenario. Add one here."""

from __future__ import annotations

from tests.scenarios.order import ORDER
from tests.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (*ORDER,)
