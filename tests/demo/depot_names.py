"""What the depot and its test share. The depot itself instruments whoever imports it."""

from __future__ import annotations

from typing import Final

DEPOT: Final = "depot"
TASKS, LOADS, CHECKS, RETRY = "depot.tasks", "depot.loads", "depot.checks", "depot.retry"
ROUTES: Final = {(DEPOT, "task"): (TASKS, LOADS, CHECKS)}
ROLES: Final = ("packs", "loads", "checks", "sends")
"""In the order in which they start."""
