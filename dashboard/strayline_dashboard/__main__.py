"""``python -m strayline_dashboard``."""

from __future__ import annotations

from strayline_dashboard.main import main

if __name__ == "__main__":
    main()
