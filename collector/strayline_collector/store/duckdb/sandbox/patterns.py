"""How much work a regular expression is for each character that it looks at."""

from __future__ import annotations

import re
from typing import Final

from strayline_collector.errors import BadInput

_PIECE: Final = re.compile(
    r"""(?P<repeated>\{(?P<least>\d+)(?P<more>,(?P<most>\d*))?\})
    | (?P<wide>\\[pP](\{[^}]*\}|.))
    | (?P<quoting>\\[QE])
    | \\. | \[\^?\]?(\[:\^?\w+:\]|\\.|[^]])*\]
    | (?P<open>\() | (?P<close>\)) | .""",
    re.VERBOSE | re.DOTALL,
)
WIDE: Final = 20
"""Of a class of Unicode: hundreds of ranges of bytes."""


def weight(pattern: str) -> int:
    """Characters and classes of RE2's syntax with every counted repetition written out: so many
    states may be alive at once. Raises ``BadInput`` for quoted parts (``\\Q``), which hide what is a group."""
    sums, last = [0], 0
    for piece in _PIECE.finditer(pattern):
        if piece["quoting"]:
            raise BadInput(
                "a pattern may not hold \\Q or \\E; write a backslash before each character"
            )
        if piece["repeated"]:
            times = max(int(piece["least"]) + bool(piece["more"]), int(piece["most"] or 0))
            sums[-1] += last * (times - 1)
            last *= times
        elif piece["open"]:
            sums.append(1)
            last = 0
        else:
            last = WIDE if piece["wide"] or "\\p" in piece[0].lower() else 1
            if piece["close"] and len(sums) > 1:
                last += sums.pop()
            sums[-1] += last
    return sum(sums)
