"""The one import: instruments every supported library that is installed."""

from __future__ import annotations

import strayline

strayline.instrument()
