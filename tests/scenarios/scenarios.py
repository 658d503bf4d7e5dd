"""Every scenario. Add one here."""

from __future__ import annotations

from tests.scenarios.fates import FATES
from tests.scenarios.hops import HOPS
from tests.scenarios.losses import LOSSES
from tests.scenarios.order import ORDER
from tests.scenarios.routing import ROUTING
from tests.scenarios.scenario import Scenario
from tests.scenarios.threads import THREADS
from tests.scenarios.traps import TRAPS
from tests.scenarios.waiting import WAITING

SCENARIOS: tuple[Scenario, ...] = (
    *ORDER,
    *ROUTING,
    *FATES,
    *HOPS,
    *LOSSES,
    *WAITING,
    *THREADS,
    *TRAPS,
)
