"""Ships what is paid, and notifies: shipped, then closed, in that order for each order."""

from __future__ import annotations

import aio_pika

import strayline
import strayline.auto
from demo_services.common import Service, order_of, ready, run
from demo_services.names import EVENTS, NOTIFY, SHIPPING


async def main(service: Service) -> None:
    await service.channel.set_qos(prefetch_count=1)
    events = await service.channel.declare_exchange(
        EVENTS, aio_pika.ExchangeType.TOPIC, durable=True
    )
    notify = await service.channel.declare_exchange(
        NOTIFY, aio_pika.ExchangeType.FANOUT, durable=True
    )
    queue = await service.channel.declare_queue(SHIPPING, durable=True)
    await queue.bind(events, "order.paid")
    ready()
    async with queue.iterator() as messages:
        async for message in messages:
            service.handling(SHIPPING, message)
            # whatever else lands here is not ours; a real service would wonder too
            if message.type == "order.paid":
                number = order_of(message)
                with strayline.ordering_key(f"ord-{number:06d}"):
                    for kind in ("order.shipped", "order.closed"):
                        await service.publish(
                            notify, "", kind, number, ordering_key=f"ord-{number:06d}"
                        )
            await service.ack(SHIPPING, message)


if __name__ == "__main__":
    run("shipping", main)
