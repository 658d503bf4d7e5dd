"""A Celery application as users write them. Its workers, and the customer who calls its tasks, are
processes of their own."""

from __future__ import annotations

import os
import signal
from typing import Any

import httpx
from celery import Celery, Task, chain
from celery.exceptions import Reject
from celery.signals import worker_init, worker_process_init

app = Celery("shop", broker=os.environ.get("SHOP_BROKER"), backend="rpc://")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": "SHOP_CONFIRMS" in os.environ},
    task_send_sent_event=True,
    worker_send_task_events=True,
)
TIMEOUT = 60


@app.task(name="add")
def add(x: int, y: int) -> int:
    """Calls another service on the way."""
    with httpx.Client() as client:
        client.get(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
    return x + y


@app.task(name="fail")
def fail() -> None:
    raise ValueError("broken")


@app.task(name="late", acks_late=True)
def late() -> int:
    return os.getpid()


@app.task(name="refuse", acks_late=True)
def refuse() -> None:
    raise Reject("no", requeue=False)


@app.task(name="again", bind=True, max_retries=3)
def again(self: Task[Any, Any]) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task(name="die", ignore_result=True)
def die() -> None:
    from strayline.provider import flush

    flush(10)  # a killed process loses what it has not sent; here only this task is looked at
    os.kill(os.getpid(), signal.SIGKILL)


def contrib(**_: Any) -> None:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument()


if "SHOP_CONTRIB" in os.environ:
    # as its documentation has it: in each process that runs tasks, after everything else
    worker_init.connect(contrib, weak=False)
    worker_process_init.connect(contrib, weak=False)


def customer(*, kills: bool) -> None:
    """Calls every task, one after the other."""
    if "SHOP_CONTRIB" in os.environ:
        contrib()
    assert add.delay(1, 2).get(TIMEOUT) == 3
    app.control.revoke(add.apply_async((3, 3), countdown=3).id)
    assert late.delay().get(TIMEOUT)
    assert again.delay().get(TIMEOUT) == 1
    assert isinstance(fail.delay().get(TIMEOUT, propagate=False), ValueError)
    refuse.delay()
    assert chain(add.s(1, 1), add.s(5))().get(TIMEOUT) == 7
    assert add.apply_async((2, 2), countdown=0.5).get(TIMEOUT) == 4
    add.apply_async((4, 4), expires=-1)
    app.send_task("nobody.knows")
    if kills:
        die.delay()
