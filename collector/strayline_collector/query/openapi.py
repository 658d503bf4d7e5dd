"""The OpenAPI document, with an example for every answer (``scripts/examples.py`` makes them)."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from fastapi import FastAPI


def with_examples(app: FastAPI) -> None:
    """Makes ``/openapi.json`` show an example beside every answer's schema."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        for call, example in examples().items():
            method, _, path = call.partition(" ")
            content = document["paths"][path][method]["responses"]["200"]["content"]
            content["application/json"]["example"] = example
        return document

    app.openapi = described


def examples() -> dict[str, Any]:
    """``method path`` → a real answer, cut short."""
    text = files("strayline_collector.query").joinpath("examples.json").read_text("utf-8")
    return json.loads(text)
