"""The shop's door: REST in, gRPC to orders. Also answers billing's questions about customers."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel

import strayline.auto  # noqa: F401 - first, so that everything below is instrumented
from demo_services.common import ready
from demo_services.shop_pb2 import CreateOrderRequest
from demo_services.shop_pb2_grpc import OrdersStub


class NewOrder(BaseModel):
    """What a customer sends."""

    number: int
    customer: str
    quantity: int = 1


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """The channel to orders lives as long as the application."""
    async with grpc.aio.insecure_channel(os.environ["ORDERS_ADDRESS"]) as channel:
        app.state.orders = OrdersStub(channel)
        yield


app = FastAPI(title="gateway", lifespan=lifespan)


@app.post("/orders", status_code=201)
async def create_order(order: NewOrder, request: Request) -> dict[str, Any]:
    """Places an order."""
    reply = await request.app.state.orders.CreateOrder(
        CreateOrderRequest(number=order.number, customer=order.customer, quantity=order.quantity),
        timeout=30,
    )
    return {"order_id": reply.order_id, "in_stock": reply.in_stock}


@app.get("/customers/{customer_id}")
async def customer(customer_id: int) -> dict[str, Any]:
    """Who a customer is."""
    return {"id": customer_id, "name": f"Customer {customer_id}"}


async def main() -> None:
    host, _, port = os.environ["GATEWAY_ADDRESS"].rpartition(":")
    config = uvicorn.Config(app, host=host, port=int(port), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server((host, int(port))) as listener:
        # connections wait in the listener's queue until the server takes them
        ready()
        await server.serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main())
