"""``strayline compact``: the database written anew while the collector is stopped."""

from __future__ import annotations

import sys

from strayline_collector.memory import MIB
from strayline_collector.memory import memory_limit as bytes_of
from strayline_collector.store.duckdb.compact import compact


def run(db: str, memory_limit: str | None) -> None:
    """Rewrites and says what it brought. Raises ``StoreError``."""
    found = compact(db, f"{bytes_of(memory_limit) // MIB}MiB")
    sys.stdout.write(
        f"{db}: {found.before / 1e6:,.1f} MB before, {found.after / 1e6:,.1f} MB after, "
        f"{found.spans:,} spans\n"
    )
