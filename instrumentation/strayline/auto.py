"""The one import: instruments every supported library that the application imports."""

from __future__ import annotations

import strayline

strayline.instrument()
