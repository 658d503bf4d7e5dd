"""A checked tree → the tree that is run: names of the store, and texts that cannot grow.

``a || b`` doubled by a recursion or by twenty nested subqueries takes all memory in one step that
neither timer nor memory limit sees. So each text that a function builds, and each that goes into it,
is measured where it is made: ``x`` becomes ``list_transform([x], t -> too long? error : t)[1]``,
which names ``x`` once, so that the tree grows with the statement and no faster.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from strayline_collector.store.duckdb.sandbox import allowed
from strayline_collector.store.duckdb.sandbox.rules import Tree, constant_text, with_names

TEXT_BYTES: Final = 8192
"""Of a text that a query builds, and of what it builds one from. A step handles 2,048 rows at a
time, so that each argument of such a function takes at most 16 MB a thread."""

WITH_PREFIX: Final = "strayline_with_"
"""No relation of any catalog is called so: out of its scope a WITH's name means nothing."""

Named = Callable[[Tree], str]


def guard(node: Tree, template: Tree, named: Named) -> Tree:
    """``template``: the tree of a measured column ``x``, see ``TEMPLATE``. ``named`` gives the
    name that DuckDB gives to an expression without one."""
    return _Guard(with_names(node), _references(node), template, named).tree(node)


TEMPLATE: Final = (
    "SELECT list_transform([CAST(x AS VARCHAR)], lambda strayline_text: CASE WHEN strlen(strayline_text) > "
    f"{TEXT_BYTES} THEN error('a text that the query builds, or builds one from, is longer than "
    f"{TEXT_BYTES:,} bytes') ELSE strayline_text END)[1]"
)


class _Guard:
    def __init__(
        self, names: frozenset[str], references: Counter[str], template: Tree, named: Named
    ) -> None:
        self._names = names
        self._references = references
        self._template = template
        self._named = named

    def tree(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self.tree(item) for item in part]
        if not isinstance(part, dict):
            return part
        new = {key: self.tree(value) for key, value in part.items()}
        if "select_list" in new:
            new["select_list"] = [
                self._keeping_name(old, changed)
                for old, changed in zip(part["select_list"], new["select_list"], strict=True)
            ]
        if "table_name" in new:
            self._rename(new)
        for entry in new.get("map", ()):
            name = str(entry["key"]).lower()
            entry["key"] = _cte(name)
            if self._references[name] > 1:  # bound once, however often it is named
                entry["value"]["materialized"] = "CTE_MATERIALIZE_ALWAYS"
        for key in ("cte_name", "ctename"):
            if key in new:
                new[key] = _cte(str(new[key]).lower())
        name = str(new.get("function_name", "")).lower()
        if name in ("~~", "!~~", "~~*", "!~~*"):
            return _as_regex(new, name)
        if name == "strftime":  # its operand is a time, its format a literal
            return self._measured(new)
        if name in allowed.BUILDING:
            new["children"] = [self._measured(child) for child in new["children"]]
            return self._measured(new)
        return new

    def _measured(self, expression: Tree) -> Tree:
        if expression.get("class") == "CONSTANT" or self._is_measured(expression):
            return expression
        alias = expression.get("alias", "")
        return _put({**self._template, "alias": alias}, {**expression, "alias": ""})

    def _is_measured(self, expression: Tree) -> bool:
        return expression.get("type") == self._template["type"] and _is_guard(expression)

    def _keeping_name(self, old: Tree, new: Tree) -> Tree:
        if old.get("alias") or old.get("class") in ("STAR", "COLUMN_REF") or old == new:
            return new
        return {**new, "alias": self._named(old)}

    def _rename(self, table: Tree) -> None:
        name = str(table["table_name"]).lower()
        table["alias"] = table["alias"] or table["table_name"]
        table["table_name"] = _cte(name) if name in self._names else allowed.RELATIONS[name]


def _cte(name: str) -> str:
    return f"{WITH_PREFIX}{name}"


def _references(node: Any) -> Counter[str]:
    found: Counter[str] = Counter()
    stack: list[Any] = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            if "table_name" in part:
                found[str(part["table_name"]).lower()] += 1
            stack += list(part.values())
        elif isinstance(part, list):
            stack += part
    return found


def _put(template: Any, expression: Tree) -> Any:
    """The template with ``expression`` in place of its column ``x``."""
    if isinstance(template, list):
        return [_put(item, expression) for item in template]
    if not isinstance(template, dict):
        return template
    if template.get("class") == "COLUMN_REF" and template["column_names"] == ["x"]:
        return expression
    return {key: _put(value, expression) for key, value in template.items()}


def _is_guard(expression: Any) -> bool:
    """Whether ``_put`` made it: nothing that a statement may say holds a lambda."""
    children = expression.get("children") or [{}]
    return str(children[0].get("function_name", "")) == "list_transform"


def _as_regex(part: Tree, name: str) -> Tree:
    """LIKE looks for ``_`` and ILIKE for everything by trying again and again: 8,000 characters
    against four ``%`` took minutes in one step. RE2 takes one pass."""
    pattern = constant_text(part["children"][1]) or ""
    if "*" not in name and "_" not in pattern:
        return part
    flags = "(?is)" if "*" in name else "(?s)"
    regex = flags + "".join({"%": ".*", "_": "."}.get(c) or re.escape(c) for c in pattern)
    literal = part["children"][1]
    literal = {**literal, "value": {**literal["value"], "value": regex}}
    matches = {**part, "function_name": "regexp_full_match", "is_operator": False, "children": [part["children"][0], literal]}  # fmt: skip
    if not name.startswith("!"):
        return matches
    alias = matches["alias"]
    return {"class": "OPERATOR", "type": "OPERATOR_NOT", "alias": alias, "query_location": part["query_location"], "children": [{**matches, "alias": ""}]}  # fmt: skip
