"""Whether a statement's tree keeps to the lists. Pure functions over what ``json_serialize_sql`` gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from strayline_collector.errors import BadInput
from strayline_collector.store.duckdb.sandbox import allowed
from strayline_collector.store.duckdb.sandbox.patterns import weight

Tree = dict[str, Any]

OWN_PREFIX: Final = "strayline_"
"""Of names that stand in the tree that is run, and in no statement."""

_PATTERNED: Final = frozenset(
    {"~~", "!~~", "~~*", "!~~*", "regexp_matches", "regexp_full_match", "regexp_extract", "regexp_replace"}
)  # fmt: skip
_NAMED_IN_SCHEMA: Final = ("", "main")
"""The parser writes ``main`` before functions that its grammar stands for."""


def check(node: Tree) -> None:
    """Raises ``BadInput`` naming what may not be used, or which limit is exceeded."""
    names = with_names(node)
    counts: Counter[str] = Counter()
    for part, level in _parts(node):
        counts["parts"] += 1
        counts["levels"] = max(counts["levels"], level)
        _check_part(part, names, counts)
        for what, limit in allowed.MAX.items():
            if counts[what] > limit:
                raise BadInput(f"the statement has more than {limit:,} {what}")
    if _expanded(node, counts) > allowed.MAX["parts"]:
        raise BadInput(
            "columns named for columns named for others unfold into too large a statement"
        )


def with_names(node: Tree) -> frozenset[str]:
    """What WITH names, lower-case. Raises ``BadInput`` when one hides a relation of the store."""
    names: set[str] = set()
    for part, _ in _parts(node):
        for entry in part.get("map", ()):
            names.add(str(entry["key"]).lower())
        names |= {str(part[key]).lower() for key in ("cte_name", "ctename") if key in part}
    hidden = names & allowed.RELATIONS.keys()
    if hidden:
        raise BadInput(f"WITH {min(hidden)}: there is a relation of that name; choose another")
    return frozenset(names)


def constant_text(expression: Tree) -> str | None:
    """The text of a literal; None for anything else."""
    if expression.get("class") != "CONSTANT" or expression["value"]["type"]["id"] != "VARCHAR":
        return None
    return str(expression["value"].get("value", ""))


def objects(root: Tree) -> Iterator[Tree]:
    """Every object of the tree."""
    return (part for part, _ in _parts(root))


def _parts(root: Tree) -> Iterator[tuple[Tree, int]]:
    """Every object of the tree with its depth, without recursion: depth is the attacker's choice."""
    stack: list[tuple[Any, int]] = [(root, 0)]
    while stack:
        part, level = stack.pop()
        if isinstance(part, dict):
            yield part, level
            stack += [(value, level + 1) for value in part.values()]
        elif isinstance(part, list):
            stack += [(item, level) for item in part]


def _check_part(part: Tree, names: frozenset[str], counts: Counter[str]) -> None:
    # whatever kind of object names something: the name is checked
    if part.get("catalog") or part.get("catalog_name") or part.get("schema_name"):
        raise BadInput("names of catalogs and schemas may not be used")
    if "schema" in part and part["schema"] not in _NAMED_IN_SCHEMA:
        raise BadInput("names of catalogs and schemas may not be used")
    if part.get("type") == "SHOW_REF":
        raise BadInput(
            "DESCRIBE, SHOW and SUMMARIZE are not answered; GET /api/v1/sql/schema lists relations and columns"
        )
    if part.get("type") == "TABLE_FUNCTION":
        name = (part.get("function") or {}).get("function_name", "")
        raise BadInput(f"the table function {_quoted(name)} may not be used")
    if "function_name" in part:
        _check_function(part, counts)
    if "table_name" in part:
        counts["tables"] += 1
        name = str(part["table_name"]).lower()
        if name not in names and name not in allowed.RELATIONS:
            raise BadInput(
                f"no relation {_quoted(part['table_name'])}; there are: {', '.join(sorted(allowed.RELATIONS))}"
            )
    if part.get("at_clause") is not None or part.get("sample") is not None:
        raise BadInput("samples and versions of a relation may not be asked for")
    if "class" in part:
        _check_expression(part, counts)
    elif "type" in part and "null_order" in part:
        _known(part["type"], allowed.ORDERS)
    elif "type" in part and ("cte_map" in part or "modifiers" in part):
        _known(part["type"], allowed.NODES)
        counts["grouping sets"] = max(counts["grouping sets"], len(part.get("group_sets") or ()))
        columns = part.get("select_list") or ()
        if len(columns) > 1:  # `*` alone gives what it gets, `*, *` twice as much
            counts["stars beside others"] += sum(c.get("class") == "STAR" for c in columns)
    elif isinstance(part.get("type"), str) and not str(part["type"]).endswith("_TYPE_INFO"):
        _known(part["type"], allowed.REFERENCES | allowed.MODIFIERS)
        # the planner weighs their orders before anybody looks at the clock
        counts["relations in FROM"] += part["type"] in allowed.NAMED
    elif "id" in part:
        _check_type(part)


def _check_expression(part: Tree, counts: Counter[str]) -> None:
    kind = part["class"]
    _known(kind, allowed.CLASSES)
    if kind == "OPERATOR":
        _known(part["type"], allowed.OPERATORS)
    elif kind == "SUBQUERY":
        counts["subqueries"] += 1
    elif kind == "WINDOW":
        _check_window(part)
    elif kind == "STAR":
        if part.get("expr") is not None:
            raise BadInput("COLUMNS may not be used")
        counts["stars beside others"] += bool(part.get("columns"))  # ORDER BY ALL
    elif kind == "COLUMN_REF":
        if len(part["column_names"]) > 2:
            raise BadInput("names of catalogs and schemas may not be used")
        first = str(part["column_names"][0]).lower()
        if first in allowed.SPECIAL_NAMES or first.startswith(OWN_PREFIX):
            raise BadInput(f"{part['column_names'][0]}: may not be used")
    elif kind == "TYPE":
        name = str(part["type_name"]).upper()
        if name not in allowed.TYPES or (part["children"] and name not in ("DECIMAL", "NUMERIC")):
            raise BadInput(f"the type {_quoted(part['type_name'])} may not be used")
    elif kind == "CONSTANT":
        text = part["value"].get("value")
        if isinstance(text, str) and len(text) > allowed.LITERAL_CHARACTERS:
            raise BadInput(f"a literal is longer than {allowed.LITERAL_CHARACTERS:,} characters")


def _check_function(part: Tree, counts: Counter[str]) -> None:
    name = str(part["function_name"]).lower()
    if name not in allowed.FUNCTIONS:
        raise BadInput(f"the function {_quoted(part['function_name'])} may not be used")
    counts["function calls"] += 1
    arguments: list[Tree] = part["children"]
    if len(arguments) > allowed.ARGUMENTS.get(name, len(arguments)):
        raise BadInput(f"{name}: takes at most {allowed.ARGUMENTS[name]} arguments here")
    if name in allowed.BUILDING:
        counts["text-building arguments"] += max(1, len(arguments))
    if name == "list_value" and not all(_literal(a) for a in arguments):
        raise BadInput("a list may hold literals only")
    if name in allowed.LITERAL_AFTER_FIRST:
        _check_literals(name, arguments[1:])
    if name in _PATTERNED:
        _check_pattern(name, arguments)
    if name in ("replace", "regexp_replace"):
        new = constant_text(arguments[2]) if len(arguments) > 2 else None
        if new is None or len(new) > allowed.REPLACEMENT_CHARACTERS:
            raise BadInput(
                f"{name}: the replacement must be a literal of at most {allowed.REPLACEMENT_CHARACTERS} characters"
            )
        if name == "replace" and not constant_text(arguments[1]):
            raise BadInput("replace: what is replaced must be a literal")
    if name == "strftime" and not any(constant_text(a) for a in arguments):
        raise BadInput("strftime: the format must be a literal")


def _check_window(part: Tree) -> None:
    name = str(part["function_name"]).lower()
    if part.get("exclude_clause", "NO_OTHER") != "NO_OTHER":
        raise BadInput("a window's frame may not exclude rows")
    if name in allowed.NO_WINDOWS or (
        part.get("distinct") and name not in allowed.DISTINCT_WINDOWS
    ):
        raise BadInput(f"{name}: may not be used over a window here")


def _check_literals(name: str, arguments: list[Tree]) -> None:
    if not all(_literal(argument) for argument in arguments):
        raise BadInput(f"{name}: all but the first argument must be single literals here")
    # `..` and `**` give a text once for each level that it lies in
    if any(
        text.startswith("$") and (".." in text or "**" in text)
        for text in map(constant_text, arguments)
        if text
    ):
        raise BadInput(f"{name}: a path may not go through all levels (`..`, `**`)")


def _check_pattern(name: str, arguments: list[Tree]) -> None:
    pattern = constant_text(arguments[1]) if len(arguments) > 1 else None
    if pattern is None or len(pattern) > allowed.PATTERN_CHARACTERS:
        raise BadInput(
            f"{name}: the pattern must be a literal of at most {allowed.PATTERN_CHARACTERS} characters"
        )
    most = allowed.PATTERN_WEIGHT
    if name == "regexp_replace" and len(arguments) > 3:
        most = allowed.REPLACING_WEIGHT
    steps = weight(pattern) if name.startswith("regexp") else len(pattern) if "_" in pattern else 0
    if steps > most:
        raise BadInput(
            f"{name}: the pattern with its repetitions written out is longer than {most} characters"
        )


def _literal(expression: Tree) -> bool:
    """Whether it is one, or one with its type beside it."""
    if expression.get("class") == "CAST":
        return _literal(expression["child"])
    return expression.get("class") == "CONSTANT"


def _check_type(part: Tree) -> None:
    info = part.get("type_info") or {}
    # what the parser leaves to be looked up is an expression of the class TYPE
    if part["id"] not in allowed.TYPES and not (part["id"] == "UNBOUND" and "expr" in info):
        raise BadInput(f"the type {_quoted(part['id'])} may not be used")


def _known(found: object, known: frozenset[str]) -> None:
    if found not in known:
        raise BadInput(f"{str(found).lower().replace('_', ' ')}: may not be used")


def _expanded(root: Tree, counts: Counter[str]) -> int:
    """Parts once every name of a column stands for what the same SELECT defined it as: a name may
    be used in the definition of the next, so that thirty of them could double thirty times."""
    total = counts["parts"]
    for part, _ in _parts(root):
        if part.get("type") != "SELECT_NODE" or not any(
            e.get("alias") for e in part["select_list"]
        ):
            continue
        weights: dict[str, int] = {}
        for expression in part["select_list"]:
            weight = _weight(expression, weights)
            total += weight
            if expression.get("alias"):
                weights[str(expression["alias"]).lower()] = weight
            if total > allowed.MAX["parts"]:
                return total
        others = [part.get(k) for k in ("where_clause", "group_expressions", "having", "qualify", "modifiers")]  # fmt: skip
        total += sum(_weight(other, weights) for other in others if other)
    return total


def _weight(expression: Any, weights: dict[str, int]) -> int:
    stack: list[Any] = [expression]
    total = 0
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            total += 1
            if part.get("class") == "COLUMN_REF":
                total += weights.get(str(part["column_names"][-1]).lower(), 0)
            stack += list(part.values())
        elif isinstance(part, list):
            stack += part
    return total


def _quoted(name: object) -> str:
    return f"{str(name)[:80]!r}"
