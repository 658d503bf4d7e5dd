"""``python -m strayline_collector`` is ``strayline``."""

from __future__ import annotations

from strayline_collector.cli import main

if __name__ == "__main__":
    main()
