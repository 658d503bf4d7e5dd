"""The OpenAPI document: an example for every answer (``scripts/examples.py`` makes them), what every
parameter means, the bodies that routes read themselves, and what errors look like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI

from strayline_collector.query.parameters import BODIES, JAEGER, means

PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457. `position` and `expected` where a query line was not understood.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "position": {"type": "integer"},
        "expected": {"type": "string"},
    },
}
JAEGER_PROBLEM: Final = {
    "type": "object",
    "description": "Jaeger's envelope; `data` is null, `errors` holds `code` and `msg`.",
    "properties": {
        "data": {"type": "null"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}},
            },
        },
    },
}

ERRORS: Final = {
    400: "A parameter or the body cannot be understood",
    404: "There is none",
    415: "The body is not application/json",
    422: "Stopped: it took too long or too much memory",
    503: "Not now; Retry-After may say when",
}
ALSO: Final = {
    "get /ready": (503,),
    "get /api/v1/stream": (503,),
    "post /api/v1/sql": (415, 422, 503),
}

LENIENT: Final = frozenset(
    {"get /api/services/{service}/operations", "get /api/v1/traces/{trace_id}/find"}
)
"""Answer an empty list where there is none."""


def describe_fully(app: FastAPI) -> None:
    """Makes ``/openapi.json`` tell what the routes' signatures do not."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is not None:  # made before, and complete
            return app.openapi_schema
        document = plain()
        for path, calls in document["paths"].items():
            for method, call in calls.items():
                _complete(f"{method} {path}", call)
        for call, example in examples().items():
            method, _, path = call.partition(" ")
            content = document["paths"][path][method]["responses"]["200"]["content"]
            content["application/json"]["example"] = example
        shapes = document["components"]["schemas"]
        for gone in ("HTTPValidationError", "ValidationError"):  # ours are problems
            shapes.pop(gone, None)
        shapes |= {"Problem": PROBLEM, "JaegerProblem": JAEGER_PROBLEM}
        return document

    app.openapi = described


def _complete(name: str, call: dict[str, Any]) -> None:
    call["responses"].pop("422", None)
    jaeger = "jaeger" in call.get("tags", ())
    media, shape = (
        ("application/json", "JaegerProblem") if jaeger else ("application/problem+json", "Problem")
    )
    if name in JAEGER:
        call["parameters"] = [*call.get("parameters", ()), *map(_query_parameter, JAEGER[name])]
    for parameter in call.get("parameters", ()):
        said = parameter.get("description") or means(name, parameter["name"])
        if said:
            parameter["description"] = said
    if name in BODIES:
        call["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": BODIES[name]}},
        }
    wrong = {"content": {media: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}}
    for status in _errors(name, call):
        call["responses"][str(status)] = {"description": ERRORS[status], **wrong}
    call["responses"]["default"] = {"description": "What went wrong", **wrong}


def _errors(name: str, call: Mapping[str, Any]) -> list[int]:
    """What a call answers by its own doing; what holds for all of them (401, 403, 421, 500) is not
    said of each."""
    asked = any(told["in"] != "path" for told in call.get("parameters", ()))
    found = [400] if asked or "requestBody" in call or name == "get /api/traces/{trace_id}" else []
    if "{" in name and name not in LENIENT:
        found.append(404)
    return [*found, *ALSO.get(name, ())]


def _query_parameter(told: tuple[str, str, bool]) -> Mapping[str, Any]:
    name, kind, required = told
    return {"name": name, "in": "query", "required": required, "schema": {"type": kind}}


def examples() -> dict[str, Any]:
    """``method path`` → a real answer, cut short."""
    text = files("strayline_collector.query").joinpath("examples.json").read_text("utf-8")
    return json.loads(text)
