"""Writes the pages of the documentation that say what the code says: commands and API.

python scripts/reference.py           writes docs/cli.md, configuration.md, api-calls.md, api-shapes.md
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import typer

ROOT: Final = Path(__file__).resolve().parents[1]
for place in ("instrumentation", "collector", "dashboard"):
    sys.path.insert(0, str(ROOT / place))

from strayline_collector.cli import app as command_line  # noqa: E402 - from the checkout
from strayline_collector.query.api import build_api  # noqa: E402

MADE: Final = "Written by `scripts/reference.py` from the code; `make docs` writes it anew."
WIDE: Final = 110
LONGEST: Final = 160
TAGS: Final = (
    ("findings", "Findings"),
    ("messages", "Queues and messages"),
    ("traces", "Traces"),
    ("graph", "Graph"),
    ("topology", "Topology"),
    ("sql", "SQL"),
    ("operation", "The collector itself"),
    ("jaeger", "Jaeger's calls"),
)


def pages() -> dict[str, str]:
    """The text of every page, by its name in ``docs``."""
    document = build_api(cast(Any, None), cast(Any, None), cast(Any, None)).openapi()
    return {
        "cli.md": commands(),
        "configuration.md": configuration(),
        "api-calls.md": calls(document),
        "api-shapes.md": shapes(document),
    }


def commands() -> str:
    """Every command with its arguments, options, variables and defaults."""
    root = cast(Any, typer.main.get_command(command_line))
    lines = ["# Commands", "", MADE, "", *_COMMANDS, ""]
    for name, command in _leaves(root, "strayline"):
        lines += [f"## {name}", "", _sentence(command.help), ""]
        if command.epilog:
            lines += ["```", command.epilog.removeprefix("Example: "), "```", ""]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        for argument in arguments:
            lines += [f"`{argument.name.upper()}`: {_cell(argument.help)}", ""]
        rows = [_option(p) for p in command.params if p.param_type_name == "option"]
        rows = [row for row in rows if row[0] != "`--help`"]
        if rows:
            lines += _table(("option", "variable", "means", "default"), rows)
    return "\n".join(lines).rstrip() + "\n"


_COMMANDS: Final = (
    "Every option also reads `STRAYLINE_<OPTION>` from the environment; an argument wins over it. `strayline COMMAND --help` says the same as this page.",
    "",
    "| exit code | means |",
    "|---|---|",
    "| 0 | fine |",
    "| 1 | findings reach `--fail-on`; `demo --once`: what was found is not what was injected |",
    "| 2 | an argument or a file that cannot be used, or a collector that cannot be reached: one line on standard error names it |",
    "| 130, 141 | stopped by Ctrl-C; whoever read the output, as `head`, has gone |",
)


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for one, child in command.commands.items():
        yield from _leaves(child, f"{name} {one}")


def _option(option: Any) -> tuple[str, str, str, str]:
    said = _sentence(option.help).rstrip(".")
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    variable = option.envvar
    told = re.search(r" \(repeatable; in (STRAYLINE_\w+) separated by '(.)'\)", said)
    if told:
        variable = told[1]
        said = said.replace(told[0], f" (repeatable; in the variable separated by `{told[2]}`)")
    default = "–"
    if not option.is_flag and option.default not in (None, (), "") and not callable(option.default):
        default = f"`{option.default}`"
    return names, f"`{variable}`" if variable else "–", _cell(said), default


def configuration() -> str:
    """Every variable that the commands read, with the commands that do."""
    told: dict[str, tuple[str, list[str]]] = {}
    users: dict[str, list[str]] = {}
    for name, command in _leaves(typer.main.get_command(command_line), "strayline"):
        for parameter in command.params:
            if parameter.param_type_name != "option":
                continue
            option, variable, said, _ = _option(parameter)
            if variable != "–":
                meanings = told.setdefault(variable, (option, []))[1]
                if said not in meanings:
                    meanings.append(said)
                users.setdefault(variable, []).append(f"`{name.removeprefix('strayline ')}`")
    rows = [
        (variable, option.partition(",")[0], "; or: ".join(meanings), ", ".join(users[variable]))
        for variable, (option, meanings) in sorted(
            told.items(), key=lambda item: item[0].strip("`")
        )
    ]
    lines = ["# Configuration", "", MADE, "", *_CONFIGURATION, ""]
    lines += _table(("variable", "option", "means", "read by"), rows)
    return "\n".join([*lines, *_ELSE]).rstrip() + "\n"


_CONFIGURATION: Final = (
    "There is no file: options say it all, and each is a variable too. An argument wins over `STRAYLINE_…`, that over `OTEL_…`, that over the default. "
    "Defaults are in [commands](cli.md). What a running collector was started with is on the dashboard's [settings](dashboard/settings.md) and in `GET /api/v1/settings`, without its secrets.",
    "",
    "What an **instrumented service** reads is another list, in [instrumentation](instrumentation.md#settings): the standard `OTEL_…` variables, and a few of our own.",
    "",
    "## Collector, dashboard and commands",
)
_ELSE: Final = (
    "## Others",
    "",
    "| variable | means |",
    "|---|---|",
    "| `STRAYLINE_DECODER` | `python`: the collector decodes in Python where the native decoder is there too |",
    "| `STRAYLINE_NATIVE` | while installing from source: `1` makes it an error when the native decoder cannot be built, `0` leaves it out |",
    "| `AMQP_URL` | `strayline demo` and `make`: a broker to use in place of a private one |",
    "| `SSL_CERT_FILE` | authorities that commands trust beside the system's; `--ca` names one file for a command |",
)


def calls(document: Mapping[str, Any]) -> str:
    """Every call of the API: what it takes, what it answers, an example."""
    lines = ["# Calls of the API", "", MADE, "", *_CALLS, ""]
    listed = [
        (path, method, call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]
    for tag, title in TAGS:
        mine = [one for one in listed if one[2]["tags"] == [tag]]
        lines += [f"## {title}", ""]
        for path, method, call in mine:
            lines += _call(path, method, call)
    return "\n".join(lines).rstrip() + "\n"


_CALLS: Final = (
    "What holds for all of them (times, paging, access, what errors mean) is in [API](api.md), the shapes named here in [shapes](api-shapes.md). "
    "Examples are real answers, cut short.",
)


def _call(path: str, method: str, call: Mapping[str, Any]) -> list[str]:
    lines = [f"### {method.upper()} {path}", "", _sentence(call.get("description", "")), ""]
    parameters = [_parameter(told) for told in call.get("parameters", ())]
    if parameters:
        lines += _table(("parameter", "in", "is", "means"), parameters)
    body = call.get("requestBody")
    if body:
        schema = body["content"]["application/json"]["schema"]
        lines += [_sentence(f"Body: JSON. {schema.get('description', '')}"), ""]
        if "properties" in schema:
            rows = [(f"`{name}`", _kind(said), _cell(said.get("description", "")) or "–") for name, said in schema["properties"].items()]  # fmt: skip
            lines += _table(("field", "is", "means"), rows)
    lines += ["```", _request(path, method, call), "```", ""]
    answer = call["responses"]["200"].get("content", {})
    told = answer.get("application/json", {})
    shape = _kind(told.get("schema", {}), link=True)
    media = ", ".join(f"`{name}`" for name in answer)
    lines += [f"Answers {shape}." if shape not in ("–", "object") else f"Answers {media}.", ""]
    wrong = [status for status in call["responses"] if status not in ("200", "default")]
    if wrong:
        lines[-2] += f" Errors: {', '.join(wrong)}."
    if "example" in told:
        lines += ["```json", compact(_short(told["example"])), "```", ""]
    return lines


def _request(path: str, method: str, call: Mapping[str, Any]) -> str:
    """A request that could be sent, with what must be given."""
    wanted = [told for told in call.get("parameters", ()) if told.get("required")]
    for told in wanted:
        path = path.replace(f"{{{told['name']}}}", SAMPLES[told["name"]])
    query = "&".join(f"{told['name']}={SAMPLES[told['name']]}" for told in wanted if told["in"] == "query")  # fmt: skip
    url = f"'http://127.0.0.1:4319{path}?{query}'" if query else f"http://127.0.0.1:4319{path}"
    verb = "" if method == "get" else f" -X {method.upper()}"
    body = call.get("requestBody")
    if body is None:
        return f"curl -s{verb} {url}"
    example = compact(body["content"]["application/json"]["schema"]["example"])
    return f"curl -s{verb} {url} -H 'content-type: application/json' -d '{example}'"


SAMPLES: Final = {
    "a": "5405eeb5a7249a0e5978aa7fb53d9d5b",
    "b": "f45efe656441d01994671208f3a60007",
    "finding_id": "fnd_0648e6227a514a69",
    "message": "5405eeb5a7249a0e5978aa7fb53d9d5b-af5f607bc683cf57",
    "name": "billing.orders",
    "picked": "0~4611686018427387904~200000000~4611686018427387904",
    "service": "billing",
    "span_id": "af5f607bc683cf57",
    "text": "order",
    "trace_id": "5405eeb5a7249a0e5978aa7fb53d9d5b",
}
"""For what must be given."""


def _parameter(told: Mapping[str, Any]) -> tuple[str, str, str, str]:
    schema = told["schema"]
    some = " (must be given)" if told.get("required") and told["in"] == "query" else ""
    default = schema.get("default")
    if default is not None and default != "":
        some += f"; default `{str(default).lower() if isinstance(default, bool) else default}`"
    return (f"`{told['name']}`", told["in"], _kind(schema), _cell(told["description"] + some))


def shapes(document: Mapping[str, Any]) -> str:
    """Every shape that a call answers with."""
    lines = ["# Shapes of the API's answers", "", MADE, "", *_SHAPES, ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [f"## {name}", ""]
        if schema.get("description"):
            lines += [_sentence(schema["description"]), ""]
        required = set(schema.get("required", schema.get("properties", ())))
        rows = [
            (f"`{field}`", _kind(said, link=True, here=True), "yes" if field in required else "no", _cell(said.get("description", "")))
            for field, said in schema.get("properties", {}).items()
        ]  # fmt: skip
        if not any(row[3] for row in rows):
            lines += _table(("field", "is", "always there"), [row[:3] for row in rows])
        else:
            lines += _table(("field", "is", "always there", "means"), rows)
    return "\n".join(lines).rstrip() + "\n"


_SHAPES: Final = (
    "Ids are lower-case hex. Times are RFC 3339 in UTC with nanoseconds, or integers in unix nanoseconds where a name ends in `_unix_nano`; "
    "every other name carries its unit.",
)


def _kind(schema: Mapping[str, Any], *, link: bool = False, here: bool = False) -> str:
    """What a value is, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        page = "" if here else "api-shapes.md"
        return f"[{name}]({page}#{name.lower()})" if link else name
    if "anyOf" in schema:
        kinds = [_kind(one, link=link, here=here) for one in schema["anyOf"]]
        null = "null" in kinds
        kinds = [kind for kind in kinds if kind != "null"]
        return " or ".join(kinds) + (" or null" if null and link else "")
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "–")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), link=link, here=here)}"
    limits = [f"{word} {schema[key]:,}" for key, word in _LIMITS if key in schema]
    return kind + (f", {', '.join(limits)}" if limits else "")


_LIMITS: Final = (
    ("minimum", "from"), ("maximum", "to"), ("minLength", "from"), ("maxLength", "at most")
)  # fmt: skip


def _short(value: Any) -> Any:
    """At most one item of every list but small ones, and no long text."""
    if isinstance(value, list):
        flat = all(not isinstance(item, dict | list) for item in value)
        return [_short(item) for item in value[: 8 if flat else 1]]
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + " …"
    return value


def compact(value: Any, indent: int = 0, before: int = 0) -> str:
    """JSON with what fits into a line on one; ``before`` is what stands on its first line already."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent + before <= WIDE or not isinstance(value, dict | list) or not value:
        return line
    inner, outer = " " * (indent + 2), " " * indent
    if isinstance(value, dict):
        named = [(json.dumps(name, ensure_ascii=False), item) for name, item in value.items()]
        parts = [f"{inner}{name}: {compact(item, indent + 2, len(name) + 3)}" for name, item in named]  # fmt: skip
        return "{\n" + ",\n".join(parts) + f"\n{outer}}}"
    return "[\n" + ",\n".join(inner + compact(item, indent + 2) for item in value) + f"\n{outer}]"


def _table(head: tuple[str, ...], rows: list[Any]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def _sentence(text: str | None) -> str:
    """One paragraph, in Markdown's own marks for code."""
    return " ".join((text or "").split()).replace("``", "`")


def _cell(text: str | None) -> str:
    return _sentence(text).replace("|", "\\|")


def main() -> None:
    for name, text in pages().items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
