"""The part of JSONPath (RFC 9535) that names what to redact: members, indices, wildcards,
descendants. ``$.card.number``, ``$.items[*].price``, ``$..password``, ``$['odd name'][0]``.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

Step = tuple[bool, str | int | None]
"""Whether it looks at all descendants, and the member, the index, or None for every child."""
Path = tuple[Step, ...]

_STEP: Final = re.compile(
    r"""(?P<deep>\.\.)?(?:
        (?P<dot>\.)?(?P<name>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*)
      | (?P<stardot>\.)?(?P<star>\*)
      | \[\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<index>-?\d+)|(?P<every>\*))\s*\]
    )""",
    re.VERBOSE,
)


class PathError(ValueError):
    """Not a path that we know; the text says where it ends to make sense."""


def parse(text: str) -> Path:
    """The steps of a path. Raises ``PathError``."""
    if not text.startswith("$") or len(text) < 2:
        raise PathError(
            f"{text!r}: a path begins with $ and names something, such as $.card.number"
        )
    steps: list[Step] = []
    place = 1
    while place < len(text):
        match = _STEP.match(text, place)
        plain = match is not None and (match["name"] is not None or match["star"] is not None)
        dots = 0 if match is None else bool(match["deep"]) + bool(match["dot"] or match["stardot"])
        if match is None or (plain and dots != 1):
            raise PathError(f"{text!r}: not understood from character {place + 1}")
        found: str | int | None = None
        if match["index"] is not None:
            found = int(match["index"])
        else:
            for name in ("name", "single", "double"):
                if match[name] is not None:
                    found = match[name]
        steps.append((match["deep"] is not None, found))
        place = match.end()
    return tuple(steps)


def replace(value: Any, path: Path, by: Any) -> Any:
    """A copy of a JSON value with everything that the path names replaced."""
    if not path:
        return by
    (deep, wanted), rest = path[0], path[1:]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {
            key: _child(item, key, path, rest, by, deep=deep, wanted=wanted)
            for key, item in members.items()
        }
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [
            _child(
                item,
                place,
                path,
                rest,
                by,
                deep=deep,
                wanted=wanted + len(items) if isinstance(wanted, int) and wanted < 0 else wanted,
            )
            for place, item in enumerate(items)
        ]
    return value


def _child(
    item: Any,
    name: str | int,
    path: Path,
    rest: Path,
    by: Any,
    *,
    deep: bool,
    wanted: str | int | None,
) -> Any:
    if wanted is None or wanted == name:
        item = replace(item, rest, by)
    return replace(item, path, by) if deep else item
