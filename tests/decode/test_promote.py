"""Attributes that become columns, by old names and new."""

from __future__ import annotations

from typing import Any

import pytest

from strayline_collector.decode.otlp import decode
from strayline_collector.decode.promote import promoted
from tests.support.story import Told, otlp

CLIENT = 3


@pytest.mark.parametrize(
    ("attributes", "service", "method"),
    [
        ({"rpc.method": "shop.v1.Orders/Create"}, "shop.v1.Orders", "Create"),
        ({"rpc.service": "shop.v1.Orders", "rpc.method": "Create"}, "shop.v1.Orders", "Create"),
        (
            {"rpc.service": "shop.v1.Orders", "rpc.method": "shop.v1.Orders/Create"},
            "shop.v1.Orders",
            "Create",
        ),
        ({"rpc.method": "/Orders/Create"}, "Orders", "Create"),
        ({"rpc.method": "_OTHER"}, None, "_OTHER"),
        ({"rpc.service": "shop.v1.Orders"}, "shop.v1.Orders", None),
        ({"rpc.service": "Other", "rpc.method": "Orders/Create"}, "Other", "Orders/Create"),
        ({"rpc.method": "/"}, None, "/"),
        ({"rpc.method": "Orders/"}, None, "Orders/"),
        ({"rpc.method": 5}, None, "5"),
        ({"rpc.method": ["Orders/Create"]}, None, None),
    ],
)
def test_service_and_method_are_told_apart_by_either_naming(
    attributes: dict[str, Any], service: str | None, method: str | None
) -> None:
    columns = promoted(CLIENT, {"rpc.system.name": "grpc", **attributes})
    assert (columns["rpc_service"], columns["rpc_method"]) == (service, method)
    assert columns["rpc_system"] == "grpc"


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"rpc.response.status_code": "NOT_FOUND", "rpc.grpc.status_code": 5}, "NOT_FOUND"),
        ({"rpc.grpc.status_code": 5}, "5"),
    ],
)
def test_a_status_is_the_newer_names(attributes: dict[str, Any], status: str) -> None:
    assert promoted(CLIENT, attributes)["rpc_status"] == status


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (4, {"celery.action": "apply_async"}, ("rabbitmq", "publish")),
        (5, {"celery.action": "run"}, ("rabbitmq", "process")),
        (5, {"celery.action": "run", "messaging.system": "redis"}, ("redis", "process")),
        (5, {"celery.action": 1}, (None, None)),
        (1, {"celery.action": "run"}, ("rabbitmq", None)),
        (4, {"spring.rabbit.template.name": "t"}, ("rabbitmq", "publish")),
        (5, {"spring.rabbit.listener.id": "l"}, ("rabbitmq", "process")),
        (5, {"note": 'says "spring.rabbit.listener.id"'}, (None, None)),
        (5, {"messaging.masstransit.input_address": "rabbitmq://mq/q"}, ("rabbitmq", "process")),
        (5, {"messaging.masstransit.input_address": "sb://mq/q"}, (None, None)),
    ],
)
def test_celery_and_masstransit_name_no_system_and_are_known_nevertheless(
    kind: int, attributes: dict[str, Any], wanted: tuple[str | None, str | None]
) -> None:
    columns = promoted(kind, attributes)
    assert (columns["messaging_system"], columns["messaging_operation"]) == wanted
    table = decode(
        [otlp([Told("x", "shop", kind, 1, 2, attributes=attributes)])], 1
    )  # native, where it is built
    assert table["messaging_system"].to_pylist() == [wanted[0]]
    assert table["messaging_operation"].to_pylist() == [wanted[1]]
