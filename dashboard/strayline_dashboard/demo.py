"""``strayline demo`` alone: a button that sends orders through its shop."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

import httpx
from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

ORDERS: Final = 20
AT_ONCE: Final = 4
_FIRST: Final = 1_000_000
"""Far from the numbers of the demo's own orders."""


def add_demo(server: FastAPI, gateway: str) -> None:
    """Adds ``POST /demo/orders``; before Dash, whose page answers every path."""
    numbers = itertools.count(_FIRST)
    one_at_a_time = asyncio.Lock()

    @server.post("/demo/orders")
    async def orders() -> Response:
        if one_at_a_time.locked():
            return JSONResponse({"placed": 0, "detail": "orders are on their way already"})
        async with one_at_a_time, httpx.AsyncClient(base_url=gateway, timeout=30) as shop:
            few = asyncio.Semaphore(AT_ONCE)

            async def place(number: int) -> bool:
                async with few:
                    body = {"number": number, "customer": f"customer-{number % 50}", "quantity": 1}
                    try:
                        return (await shop.post("/orders", json=body)).status_code == 201
                    except httpx.HTTPError:
                        return False

            placed = await asyncio.gather(*(place(next(numbers)) for _ in range(ORDERS)))
        return JSONResponse({"placed": sum(placed), "detail": None})
