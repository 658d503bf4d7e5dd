"""A checked tree → the tree that is run: names of the store, and texts that cannot grow.

``a || b`` doubled by a recursion or by twenty nested subqueries takes all memory in one step that
neither timer nor memory limit sees. So each text that a function builds, and each that goes into it,
is measured where it is made: ``x`` becomes ``list_transform([x], t -> too long? error : t)[1]``,
which names ``x`` once, so that the tree grows with the statement and no faster.

A relation's name where a column's could stand is its row as a whole, which a row of the next subquery
may hold twice: twenty-two of them took 8 GB and a minute in planning alone. So relations get names that
a statement cannot say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any, Final

from strayline_collector.store.duckdb.sandbox import allowed
from strayline_collector.store.duckdb.sandbox.rules import (
    OWN_PREFIX,
    Tree,
    constant_text,
    objects,
    with_names,
)

TEXT_BYTES: Final = 8192
"""Of a text that a query builds, and of what it builds one from. A step handles 2,048 rows at a
time, so that each argument of such a function takes at most 16 MB a thread."""
REPLACED_BYTES: Final = 512
"""Of a text in which every match is replaced: where each looks as far as the end, twice the length
takes four times as long."""

WITH_PREFIX: Final = f"{OWN_PREFIX}with_"
"""No relation of any catalog is called so: out of its scope a WITH's name means nothing."""
ROW_PREFIX: Final = f"{OWN_PREFIX}row_"
"""Of relations within a statement."""

Named = Callable[[Tree], str]
Measure = Callable[[int], Tree]


def guard(node: Tree, measure: Measure, named: Named) -> Tree:
    """``measure`` gives the tree of ``measuring``; ``named`` the name that DuckDB gives to an
    expression without one."""
    return _Guard(node, measure, named).tree(node)


def measuring(most: int) -> str:
    """A column ``x`` as text, an error where that has more than so many bytes."""
    return (
        "SELECT list_transform([CAST(x AS VARCHAR)], lambda strayline_text: CASE WHEN strlen(strayline_text) > "
        f"{most} THEN error('a text that the query builds, or builds one from, is longer than "
        f"{most:,} bytes') ELSE strayline_text END)[1]"
    )


class _Guard:
    def __init__(self, node: Tree, measure: Measure, named: Named) -> None:
        self._names = with_names(node)
        self._references = _references(node)
        self._rows = {_relation(part) for part in objects(node) if _is_relation(part)}
        self._measure = cache(measure)
        self._unnamed = count()
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
        if _is_relation(new):
            self._rename(new)
        self._qualify(new)
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
            if name == "regexp_replace" and len(new["children"]) > 3:  # with `g`: each match
                new["children"][0] = self._measured(new["children"][0], REPLACED_BYTES)
            return self._measured(new)
        return new

    def _measured(self, expression: Tree, most: int = TEXT_BYTES) -> Tree:
        if expression.get("class") == "CONSTANT" or (most == TEXT_BYTES and _is_guard(expression)):
            return expression
        alias = expression.get("alias", "")
        return _put({**self._measure(most), "alias": alias}, {**expression, "alias": ""})

    def _keeping_name(self, old: Tree, new: Tree) -> Tree:
        if old.get("alias") or old.get("class") in ("STAR", "COLUMN_REF") or old == new:
            return new
        return {**new, "alias": self._named(old)}

    def _rename(self, relation: Tree) -> None:
        name = _relation(relation)
        relation["alias"] = f"{ROW_PREFIX}{name}" if name else f"{OWN_PREFIX}{next(self._unnamed)}"
        if "table_name" in relation:
            name = str(relation["table_name"]).lower()
            relation["table_name"] = _cte(name) if name in self._names else allowed.RELATIONS[name]

    def _qualify(self, part: Tree) -> None:
        """A relation's name before a column's or a star."""
        names = part.get("column_names") or ()
        if len(names) > 1 and str(names[0]).lower() in self._rows:
            part["column_names"] = [ROW_PREFIX + str(names[0]).lower(), *names[1:]]
        for key in ("relation_name", "table"):
            if str(part.get(key) or "").lower() in self._rows - {""}:
                part[key] = ROW_PREFIX + str(part[key]).lower()


def _cte(name: str) -> str:
    return f"{WITH_PREFIX}{name}"


def _is_relation(part: Tree) -> bool:
    return "class" not in part and part.get("type") in ("BASE_TABLE", "SUBQUERY")


def _relation(part: Tree) -> str:
    """What a relation is called in the statement."""
    return str(part["alias"] or part.get("table_name", "")).lower()


def _references(node: Tree) -> Counter[str]:
    return Counter(
        str(part["table_name"]).lower() for part in objects(node) if "table_name" in part
    )


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
