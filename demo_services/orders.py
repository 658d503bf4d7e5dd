"""Takes orders over gRPC, asks inventory over AMQP, and tells the world what happened to each."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from typing import Any

import aio_pika
import grpc.aio
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

import strayline
import strayline.auto
from demo_services.common import Service, ready, run
from demo_services.names import EVENTS, INVENTORY
from demo_services.shop_pb2 import CreateOrderReply, CreateOrderRequest
from demo_services.shop_pb2_grpc import OrdersServicer, add_OrdersServicer_to_server


class Inventory:
    """Asks inventory over the broker: request to its queue, reply straight back to this channel."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, asyncio.Future[bool]] = {}

    async def start(self) -> None:
        replies = await self._service.channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await replies.consume(self._answered, no_ack=True)

    async def in_stock(self, quantity: int) -> bool:
        number = str(uuid.uuid4())
        self._waiting[number] = asyncio.get_running_loop().create_future()
        message = aio_pika.Message(
            json.dumps({"quantity": quantity}).encode(),
            correlation_id=number,
            reply_to="amq.rabbitmq.reply-to",
            type="inventory.check",
        )
        await self._service.channel.default_exchange.publish(message, INVENTORY)
        return await asyncio.wait_for(self._waiting[number], 30)

    async def _answered(self, message: AbstractIncomingMessage) -> None:
        waiting = self._waiting.pop(message.correlation_id or "", None)
        if waiting is not None and not waiting.done():
            waiting.set_result(bool(json.loads(message.body)["in_stock"]))


class Orders(OrdersServicer):
    """The gRPC service."""

    def __init__(self, service: Service, events: AbstractExchange, inventory: Inventory) -> None:
        self._service = service
        self._events = events
        self._inventory = inventory
        # one at a time, so that the log has the order in which messages were published
        self._publishing = asyncio.Lock()

    async def CreateOrder(self, request: CreateOrderRequest, context: Any) -> CreateOrderReply:  # noqa: N802
        number = request.number
        in_stock = await self._inventory.in_stock(request.quantity)
        order_id = f"ord-{number:06d}"
        async with self._publishing:
            with strayline.ordering_key(order_id):
                wrong = self._service.faults.wrong_key(number)
                await self._tell(
                    "order.created", number, order_id, key="order.paid" if wrong else None
                )
                await self._tell("order.updated", number, order_id)
                await self._tell("order.confirmed", number, order_id)
            if self._service.faults.misspelt(number):
                await self._service.publish(
                    self._events, "order.cancled", "order.cancelled", number
                )
        return CreateOrderReply(order_id=order_id, in_stock=in_stock)

    async def _tell(self, kind: str, number: int, order_id: str, *, key: str | None = None) -> None:
        await self._service.publish(self._events, key or kind, kind, number, ordering_key=order_id)


async def main(service: Service) -> None:
    events = await service.channel.declare_exchange(
        EVENTS, aio_pika.ExchangeType.TOPIC, durable=True
    )
    inventory = Inventory(service)
    await inventory.start()
    server = grpc.aio.server()
    add_OrdersServicer_to_server(Orders(service, events, inventory), server)
    server.add_insecure_port(os.environ["ORDERS_ADDRESS"])
    await server.start()
    ready()
    try:
        await server.wait_for_termination()
    finally:
        await server.stop(1)


if __name__ == "__main__":
    run("orders", main)
